//! THE LAYERS. Which of our crates may import which; no other arrow is allowed.
//!
//! Think before you add one: the table is the architecture. `protocol` knows no one; the pure crates know `protocol` only; `broker` is the
//! only crate that knows everyone; tools reach the disk only to dump it.

use crate::process::{cargo, output};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

const ALLOWED: &[(&str, &[&str])] = &[
    ("dohle-protocol-derive", &[]),
    ("dohle-protocol", &["dohle-protocol-derive"]),
    ("dohle-storage", &["dohle-protocol"]),
    ("dohle-metadata", &["dohle-protocol"]),
    ("dohle-replication", &["dohle-protocol"]),
    ("dohle-coordinator", &["dohle-protocol"]),
    (
        "dohle-sim",
        &[
            "dohle-protocol",
            "dohle-coordinator",
            "dohle-metadata",
            "dohle-storage",
            "dohle-quorum",
            "dohle-replication",
        ],
    ),
    ("dohle-client", &["dohle-protocol"]),
    ("dohle-quorum", &["dohle-protocol", "dohle-storage", "dohle-metadata"]),
    (
        "dohle-broker",
        &[
            "dohle-protocol",
            "dohle-storage",
            "dohle-metadata",
            "dohle-quorum",
            "dohle-replication",
            "dohle-coordinator",
            "dohle-client",
        ],
    ),
    ("dohle-cli", &["dohle-protocol", "dohle-client", "dohle-storage"]),
    ("dohle-rest", &["dohle-protocol", "dohle-client"]),
    ("dohle", &["dohle-broker", "dohle-cli", "dohle-client", "dohle-rest"]),
    ("dohle-floor", &["dohle-protocol"]),
    ("dohle-load", &["dohle-protocol"]),
    ("dohle-instructions", &["dohle-protocol", "dohle-storage"]),
    ("xtask", &[]),
];

pub(super) fn check() -> Result<Vec<String>> {
    let metadata: serde_json::Value = serde_json::from_str(&output(cargo(&["metadata", "--no-deps", "--format-version", "1"]))?)?;
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut found = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists no packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(may_import) = allowed.get(name) else {
            found.push(format!("{name}: not in the table of layers (xtask/src/tidy/arrows.rs)"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            if name != "dohle-sim"
                && dependency["features"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|feature| feature == "mutants")
            {
                found.push(format!(
                    "{name} asks for the seeded bugs of {target}: they are for the simulator alone"
                ));
            }
            let is_test_only = dependency["kind"].as_str() == Some("dev");
            if allowed.contains_key(target) && !is_test_only && !may_import.contains(&target) {
                found.push(format!("{name} imports {target}: the layers do not allow that arrow"));
            }
        }
    }
    Ok(found)
}
