//! The rules of groups, by value: requests and the passage of time in, answers and records out.

mod admin;
mod bounds;
mod commits;
mod expiry;
mod joining;
mod leaving;
mod rebalancing;
mod replay;
mod sessions;
mod static_members;
mod syncing;
mod world;
