//! The page `docs/apis.md`, written from the dispatch table.

use crate::dispatch::APIS;
use std::fmt::Write;

const HEAD: &str = "\
# APIs served

Generated from the dispatch table (`crates/broker/src/dispatch.rs`); do not edit. After a change there, `cargo xtask fix` writes it anew.

What is not listed is not advertised, and a request for it closes the connection. ApiVersions names Produce from version 0 on, because clients
that compare ranges before they produce expect that (KAFKA-18659); versions 0 to 2 are refused.

| key | API | versions |
|---|---|---|
";

fn render() -> String {
    let mut keys: Vec<_> = APIS.iter().map(|api| api.key).collect();
    keys.sort();
    let mut page = HEAD.to_string();
    for key in keys {
        let versions = key.valid_versions();
        writeln!(page, "| {} | {key} | {} to {} |", key.code(), versions.start(), versions.end()).expect("a string takes any text");
    }
    page
}

#[test]
fn docs_are_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/apis.md");
    if std::env::var_os("DOHLE_REWRITE_DOCS").is_some() {
        std::fs::write(path, render()).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap_or_default() == render(), "run cargo xtask fix");
}
