//! What tools ask: which groups there are, what they are doing, and to delete one.

mod delete;
mod describe;
mod list;
