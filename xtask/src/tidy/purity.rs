//! The pure crates name no runtime, file, socket, clock or source of randomness: those reach them as arguments.

use super::Source;

const PURE: &[&str] = &[
    "crates/protocol/src",
    "crates/metadata/src",
    "crates/replication/src",
    "crates/coordinator/src",
];
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::net",
    "std::thread",
    "Instant::now",
    "SystemTime",
    "rand::",
    "Uuid::new_v4",
    "HashMap::new",
    "HashSet::new",
    "RandomState",
];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.is_rust() && PURE.iter().any(|folder| source.is_under(folder)))
    {
        if source.path.ends_with("tests.rs") {
            continue;
        }
        let code = source.text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (number, line) in code.lines().enumerate() {
            if line.trim_start().starts_with("//") {
                continue;
            }
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                found.push(format!(
                    "{}:{}: a pure crate cannot name `{word}`",
                    source.path.display(),
                    number + 1
                ));
            }
        }
    }
    found
}
