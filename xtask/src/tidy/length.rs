//! Length of files and functions. What is too long today is named in `length_ratchet.txt` and may only shrink.

use super::Source;
use crate::process::root;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const RATCHET: &str = "xtask/src/tidy/length_ratchet.txt";

pub(super) fn check(sources: &[Source]) -> Result<Vec<String>> {
    let mut ratchet = read_ratchet()?;
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let path = source.path.display();
        let mut judge = |what: String, lines: usize, max: usize| match ratchet.remove(&what) {
            Some(allowed) if lines <= max => found.push(format!("{what}: {lines} lines; take it (was {allowed}) out of {RATCHET}")),
            Some(allowed) if lines > allowed => found.push(format!("{what}: grew from {allowed} to {lines} lines")),
            None if lines > max => found.push(format!("{what}: {lines} lines, at most {max}; split it")),
            _ => {}
        };
        judge(path.to_string(), source.text.lines().count(), FILE_LINES_MAX);
        for (name, lines) in functions(&source.text) {
            judge(format!("{path}::{name}"), lines, FUNCTION_LINES_MAX);
        }
    }
    found.extend(
        ratchet
            .keys()
            .map(|what| format!("{what}: named in {RATCHET}, but there is no such thing")),
    );
    Ok(found)
}

fn read_ratchet() -> Result<BTreeMap<String, usize>> {
    let text = std::fs::read_to_string(root().join(RATCHET)).context(RATCHET)?;
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (what, lines) = line.rsplit_once(' ').context("a ratchet line is `WHAT LINES`")?;
            Ok((what.to_string(), lines.parse()?))
        })
        .collect()
}

/// Name and number of lines of each function: from its `fn` line to the closing brace at the same indentation, which rustfmt guarantees.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let close = format!("{}}}", &line[..indent]);
        let length = lines[start..].iter().position(|later| **later == close);
        let one_liner = line.ends_with('}') || line.ends_with(';');
        if let (Some(length), false) = (length, one_liner) {
            found.push((name, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for qualifier in ["pub ", "pub(crate) ", "pub(super) ", "const ", "async ", "unsafe "] {
        rest = rest.strip_prefix(qualifier).unwrap_or(rest);
    }
    let name = rest.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::functions;

    #[test]
    fn functions_are_found_with_their_lengths() {
        let text = "fn a() {\n    b();\n}\n\nimpl X {\n    pub(crate) async fn c<T>(\n        x: T,\n    ) {\n        if x {\n        }\n    }\n    fn d() {}\n}\n";
        assert_eq!(functions(text), [("a", 3), ("c", 6)]);
    }
}
