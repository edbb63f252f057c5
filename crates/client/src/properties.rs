//! Configuration as `key=value` pairs: property files in Java's format, and the options that repeat `key=value`.

use std::collections::BTreeMap;
use std::path::Path;

/// Key and value pairs; a later one replaces an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

#[derive(Debug, thiserror::Error)]
pub enum PropertiesError {
    #[error("cannot read {path}: {reason}")]
    Unreadable { path: String, reason: std::io::Error },
    #[error("'{0}' is not of the form key=value")]
    NotAPair(String),
}

impl Properties {
    pub fn from_file(path: &Path) -> Result<Properties, PropertiesError> {
        let text = std::fs::read(path).map_err(|reason| PropertiesError::Unreadable {
            path: path.display().to_string(),
            reason,
        })?;
        Ok(Properties::parse(&String::from_utf8_lossy(&text)))
    }

    /// Java's property file format: `#` and `!` comments, `=`, `:` or blanks as separator, `\` escapes and continuations.
    pub fn parse(text: &str) -> Properties {
        let mut properties = Properties::default();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let mut logical = line.to_owned();
            while ends_with_continuation(&logical) {
                logical.pop();
                match lines.next() {
                    Some(next) => logical.push_str(next.trim_start()),
                    None => break,
                }
            }
            let (key, value) = split_pair(&logical);
            properties.set(key, value);
        }
        properties
    }

    /// Adds `key=value`; as in Kafka's tools `key=` gives an empty value, and a missing `=` is refused.
    pub fn add_pair(&mut self, pair: &str) -> Result<(), PropertiesError> {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                self.set(key, value);
                Ok(())
            }
            _ => Err(PropertiesError::NotAPair(pair.to_owned())),
        }
    }

    pub fn add_pairs<'a>(&mut self, pairs: impl IntoIterator<Item = &'a String>) -> Result<(), PropertiesError> {
        pairs.into_iter().try_for_each(|pair| self.add_pair(pair))
    }

    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    pub fn set_default(&mut self, key: &str, value: impl Into<String>) {
        self.0.entry(key.to_owned()).or_insert_with(|| value.into());
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The answer to a yes or no question; like Kafka's tools everything but `true` is no.
    pub fn is_true(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
    }
}

fn ends_with_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn split_pair(line: &str) -> (String, String) {
    let mut escaped = false;
    let end_of_key = line
        .char_indices()
        .find(|&(_, c)| {
            let ends = !escaped && (c == '=' || c == ':' || c.is_whitespace());
            escaped = c == '\\' && !escaped;
            ends
        })
        .map_or(line.len(), |(index, _)| index);
    let rest = line[end_of_key..].trim_start();
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    (unescape(&line[..end_of_key]), unescape(value))
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match characters.next() {
            Some('t') => plain.push('\t'),
            Some('n') => plain.push('\n'),
            Some('r') => plain.push('\r'),
            Some('f') => plain.push('\u{c}'),
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                plain.push(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            Some(other) => plain.push(other),
            None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_file_is_read_as_java_reads_it() {
        let properties = Properties::parse(
            "# comment\n! comment\n\nbootstrap.servers = a:1,b:2\nacks: all\nlinger.ms 5\nempty=\nkey.separator=\\t|\\u0041\nlong=one,\\\n   two\nc\\:d=C:\\\\x\n",
        );
        assert_eq!(properties.get("bootstrap.servers"), Some("a:1,b:2"));
        assert_eq!(properties.get("acks"), Some("all"));
        assert_eq!(properties.get("linger.ms"), Some("5"));
        assert_eq!(properties.get("empty"), Some(""));
        assert_eq!(properties.get("key.separator"), Some("\t|A"));
        assert_eq!(properties.get("long"), Some("one,two"));
        assert_eq!(properties.get("c:d"), Some("C:\\x"));
        assert_eq!(properties.keys().count(), 7);
    }

    #[test]
    fn a_pair_needs_an_equals_sign() {
        let mut properties = Properties::default();
        properties.add_pairs(&["a=b=c".to_owned(), "d=".to_owned()]).unwrap();
        assert_eq!((properties.get("a"), properties.get("d")), (Some("b=c"), Some("")));
        assert!(properties.add_pair("nothing").is_err());
        assert!(properties.add_pair("=x").is_err());
    }
}
