//! Offsets: committed, fetched, deleted, expired.

mod commit;
mod delete;
mod expiry;
mod fetch;
