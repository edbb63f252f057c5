//! Turns an answer into text in which what differs between any two nodes is masked.

use std::fmt::Debug;

/// Fields whose values differ between two nodes that behave alike.
const MASKED: &[&str] = &[
    "throttle_time_ms",
    "topic_id",
    "cluster_id",
    "host",
    "port",
    "log_dir",
    "total_bytes",
    "usable_bytes",
    "producer_id",
    "last_timestamp",
    "log_append_time_ms",
    "session_id",
    "last_fetch_timestamp",
    "last_caught_up_timestamp",
    "replica_directory_id",
];

/// The answer as a line; of error messages only whether there is one.
pub(super) fn show<T: Debug>(answer: &Option<T>) -> String {
    let Some(answer) = answer else { return "closed\n".into() };
    let mut text = format!("{answer:?}");
    for field in MASKED {
        text = mask(&text, field);
    }
    mask_messages(&text).replace(", unknown_tagged_fields: TaggedFields([])", "") + "\n"
}

/// `field: VALUE` becomes `field: _`, unless the value is the protocol's "none", which must be the same on both.
fn mask(text: &str, field: &str) -> String {
    let marker = format!(" {field}: ");
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find(&marker) {
        let (before, after) = rest.split_at(position + marker.len());
        let end = after.find([',', '}']).unwrap_or(after.len());
        let value = after[..end].trim_end();
        let none = ["-1", "None", "\"\"", "00000000-0000-0000-0000-000000000000"].contains(&value);
        result.push_str(before);
        result.push_str(if none { value } else { "_" });
        rest = &after[end..];
    }
    result + rest
}

/// Error messages are for people: their wording is ours, their presence is not, nor that one is empty.
fn mask_messages(text: &str) -> String {
    let marker = "error_message: Some(\"";
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find(marker) {
        let (before, after) = rest.split_at(position + marker.len());
        let end = end_of_quoted(after);
        result.push_str(before);
        result.push_str(if end == 0 { "" } else { "_" });
        rest = &after[end..];
    }
    result + rest
}

/// Where the closing quote of a text stands that `Debug` wrote.
fn end_of_quoted(text: &str) -> usize {
    let mut escaped = false;
    for (position, letter) in text.char_indices() {
        match letter {
            '"' if !escaped => return position,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}
