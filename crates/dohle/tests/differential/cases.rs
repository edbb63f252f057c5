//! What is asked. Each case runs on a connection of its own, in every version of its API, with topics of its own.

mod admin;
mod data;
mod render;

use crate::peer::Peer;
use dohle_protocol::ApiKey;

/// One question in one version. `run` returns the masked answers as text.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) version: i16,
    pub(crate) run: fn(&mut Peer, i16) -> String,
}

pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, key, run) in data::CASES.iter().chain(admin::CASES) {
        cases.extend(key.valid_versions().map(|version| Case { name, version, run: *run }));
    }
    cases
}

/// Name, API whose versions are gone through, and the questions.
type Definition = (&'static str, ApiKey, fn(&mut Peer, i16) -> String);
