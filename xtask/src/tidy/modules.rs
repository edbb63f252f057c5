//! Every module says what it is (`//!` on its first line), and no file has a name that says nothing.

use super::Source;

const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "common", "misc", "impls", "manager"];

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let path = source.path.display();
        let name = source.path.file_stem().unwrap_or_default().to_string_lossy();
        if EMPTY_NAMES.contains(&name.as_ref()) {
            found.push(format!("{path}: name the file after what it holds"));
        }
        if source.is_rust() && !source.text.starts_with("//!") && !source.text.starts_with("#!") {
            found.push(format!("{path}: open with a `//!` line that says what the module is"));
        }
    }
    found
}
