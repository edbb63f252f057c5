//! Groups: members, their offsets, and what administrators ask.

mod admin;
mod deletion;
mod instances;
mod joining;
mod offsets;
mod script;
mod syncing;

use super::Definition;

/// The cases of each file.
pub(super) const CASES: [&[Definition]; 6] = [
    joining::CASES,
    instances::CASES,
    syncing::CASES,
    offsets::CASES,
    deletion::CASES,
    admin::CASES,
];
