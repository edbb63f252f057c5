//! The page `docs/apis.md`, written from the dispatch table.

use crate::dispatch::{APIS, CONTROLLER_APIS};
use dohle_protocol::ApiKey;
use std::fmt::Write;

const HEAD: &str = "\
# APIs served

Generated from the dispatch table (`crates/broker/src/dispatch.rs`); do not edit. After a change there, `cargo xtask fix` writes it anew.

What is not listed is not advertised, and a request for it closes the connection. ApiVersions names Produce from version 0 on, because clients
that compare ranges before they produce expect that (KAFKA-18659); versions 0 to 2 are refused.

| key | API | versions |
|---|---|---|
";

const OF_CONTROLLERS: &str = "
## On listeners of the controller

For other nodes, and for tools with `--bootstrap-controller`, in the same versions: ";

fn render() -> String {
    let mut keys: Vec<_> = APIS.iter().map(|api| api.key).collect();
    keys.sort();
    let mut page = HEAD.to_string();
    for key in keys {
        let versions = key.valid_versions();
        writeln!(page, "| {} | {key} | {} to {} |", key.code(), versions.start(), versions.end()).expect("a string takes any text");
    }
    let public = CONTROLLER_APIS.iter().map(|api| api.key).filter(|key| !key.is_private());
    let mut keys: Vec<_> = public.collect();
    keys.sort();
    let names: Vec<&str> = keys.into_iter().map(ApiKey::name).collect();
    page + OF_CONTROLLERS + &names.join(", ") + ".\n"
}

#[test]
fn docs_are_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/apis.md");
    if std::env::var_os("DOHLE_REWRITE_DOCS").is_some() {
        std::fs::write(path, render()).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap_or_default() == render(), "run cargo xtask fix");
}
