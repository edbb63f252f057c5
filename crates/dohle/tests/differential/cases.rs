//! What is asked. Each case runs on a connection of its own, in every version that both nodes serve, with topics of its own.

mod admin;
mod data;
mod groups;
mod render;

use crate::peer::Peer;
use dohle_protocol::ApiKey;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// One question in one version. `run` returns the masked answers as text, one to a line.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) version: i16,
    pub(crate) run: fn(&mut Peer, i16) -> String,
}

pub(crate) fn all(served: &BTreeMap<i16, RangeInclusive<i16>>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, key, run) in data::CASES.iter().chain(admin::CASES).chain(groups::CASES.into_iter().flatten()) {
        // Both advertise Produce 0 to 2 for old clients, and neither serves them.
        let versions = key.valid_versions().filter(|version| served[&key.code()].contains(version));
        cases.extend(versions.map(|version| Case { name, version, run: *run }));
    }
    cases
}

/// Name, API whose versions are gone through, and the questions.
type Definition = (&'static str, ApiKey, fn(&mut Peer, i16) -> String);
