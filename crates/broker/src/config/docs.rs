//! The page `docs/config.md`, written from the registries.

use super::known_keys::known_to_kafka;
use super::registry::{BROKER_KEYS, broker_key};
use dohle_metadata::config::key::{ConfigKey, Dynamic};
use dohle_metadata::config::topic::{Support, TOPIC_KEYS};
use std::fmt::Write;

const HEAD: &str = "\
# Configuration

Generated from the registries of keys (`crates/broker/src/config/registry.rs`, `crates/metadata/src/config/topic.rs`); do not edit.
After a change there, `cargo xtask fix` writes it anew.

A key is set in `server.properties`, by `dohle start --set key=value`, or, where the last column does not say `at start`, while the broker
runs with `dohle configs --alter`. Keys and meanings are those of Apache Kafka unless said otherwise. An unknown key or a value outside its
range ends the start with one sentence. A key that Kafka knows and Dohle does not act on is named in one warning at the start; those keys are
listed at the end.
";

const ANY_TEXT: &str = "a string takes any text";

/// The text of `docs/config.md`.
pub fn render_docs() -> String {
    let mut page = HEAD.to_string();
    page.push_str("\n## Brokers\n\n| key | default | values | change takes effect |\n|---|---|---|---|\n");
    for key in BROKER_KEYS {
        row(&mut page, key);
    }
    page.push_str("\n## Topics\n\nThe default of a topic key is set by the broker keys named below it; the first that is set counts. ");
    page.push_str("All take effect at once.\n\n| key | default | values | broker keys |\n|---|---|---|---|\n");
    for topic_key in TOPIC_KEYS {
        let note = match topic_key.support {
            Support::ActedOn => String::new(),
            Support::Accepted(reason) => format!(" *Accepted and shown, not acted on: {reason}.*"),
        };
        let synonyms: Vec<String> = topic_key.synonyms.iter().map(|synonym| format!("`{}`", synonym.name)).collect();
        let key = &topic_key.key;
        let default = key
            .default
            .filter(|text| !text.is_empty())
            .map(|text| format!("`{text}`"))
            .unwrap_or_default();
        writeln!(
            page,
            "| `{}`<br>{}{note} | {default} | {} | {} |",
            key.name,
            key.doc,
            key.kind,
            synonyms.join(", ")
        )
        .expect(ANY_TEXT);
    }
    page.push_str("\n## Known to Kafka, not acted on\n\n");
    let ignored: Vec<String> = known_to_kafka()
        .filter(|name| broker_key(name).is_none())
        .map(|name| format!("`{name}`"))
        .collect();
    page.push_str(&ignored.join(", "));
    page.push_str(", and all keys that begin with `listener.name.`, `config.providers.`, `rlmm.config.` or `rsm.config.`.\n");
    page
}

fn row(page: &mut String, key: &ConfigKey) {
    let default = key.default.map(|text| format!("`{text}`")).unwrap_or_default();
    let effect = match key.dynamic {
        Dynamic::ReadOnly => "at start",
        Dynamic::PerBroker => "at once, per broker",
        Dynamic::ClusterWide => "at once",
    };
    writeln!(page, "| `{}`<br>{} | {default} | {} | {effect} |", key.name, key.doc, key.kind).expect(ANY_TEXT);
}

#[cfg(test)]
mod tests {
    use super::render_docs;

    #[test]
    fn docs_are_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        if std::env::var_os("DOHLE_REWRITE_DOCS").is_some() {
            std::fs::write(path, render_docs()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == render_docs(), "run cargo xtask fix");
    }
}
