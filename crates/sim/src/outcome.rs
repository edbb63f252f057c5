//! What became of one seed.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that happened, in order.
    pub hash: u64,
    pub events: u64,
    /// How often each answer was given, by API and error code.
    pub seen: BTreeMap<(&'static str, i16), u64>,
    pub violation: Option<String>,
}
