//! Java's properties syntax, as `server.properties` is written: comments, continuations, escapes, any of `=`, `:` or white space between key and value.

use crate::limits::PROPERTIES_LINE_BYTES_MAX;
use std::iter::Peekable;
use std::str::Chars;
use thiserror::Error;

/// One `key=value`, with the number of the line on which it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum PropertiesError {
    #[error("line {line} is not UTF-8")]
    NotUtf8 { line: usize },
    #[error("line {line} has {bytes} bytes; at most {PROPERTIES_LINE_BYTES_MAX} are allowed")]
    LineTooLong { line: usize, bytes: usize },
    #[error("line {line}: \\u must be followed by the four hexadecimal digits of a character")]
    BadUnicodeEscape { line: usize },
    #[error("line {line} has a value but no key")]
    NoKey { line: usize },
}

/// All properties in the order of the file; a key that stands twice is returned twice.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Property>, PropertiesError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        PropertiesError::NotUtf8 {
            line: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
        }
    })?;
    let mut properties = Vec::new();
    let mut natural_lines = text.lines().flat_map(|line| line.split('\r')).enumerate();
    while let Some((index, first)) = natural_lines.next() {
        let line = index + 1;
        let first = first.trim_start_matches(is_blank);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_string();
        while ends_in_continuation(&logical) {
            logical.pop();
            let Some((_, next)) = natural_lines.next() else { break };
            logical.push_str(next.trim_start_matches(is_blank));
        }
        if logical.len() > PROPERTIES_LINE_BYTES_MAX {
            return Err(PropertiesError::LineTooLong {
                line,
                bytes: logical.len(),
            });
        }
        properties.push(property(&logical, line)?);
    }
    Ok(properties)
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\x0c')
}

fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn property(logical: &str, line: usize) -> Result<Property, PropertiesError> {
    let mut rest = logical.chars().peekable();
    let key = unescape_until(&mut rest, |character| is_blank(character) || matches!(character, '=' | ':'), line)?;
    if key.is_empty() {
        return Err(PropertiesError::NoKey { line });
    }
    while rest.next_if(|&character| is_blank(character)).is_some() {}
    rest.next_if(|&character| matches!(character, '=' | ':'));
    while rest.next_if(|&character| is_blank(character)).is_some() {}
    let value = unescape_until(&mut rest, |_| false, line)?;
    Ok(Property { key, value, line })
}

fn unescape_until(rest: &mut Peekable<Chars<'_>>, is_end: impl Fn(char) -> bool, line: usize) -> Result<String, PropertiesError> {
    let mut text = String::new();
    while let Some(character) = rest.next_if(|&character| !is_end(character)) {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('t') => text.push('\t'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('f') => text.push('\x0c'),
            Some('u') => text.push(unicode_escape(rest).ok_or(PropertiesError::BadUnicodeEscape { line })?),
            Some(other) => text.push(other),
            None => {}
        }
    }
    Ok(text)
}

/// The character after `\u`: four digits, or a surrogate pair of two escapes.
fn unicode_escape(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let first = utf16_unit(rest)?;
    if let Some(character) = char::from_u32(u32::from(first)) {
        return Some(character);
    }
    if rest.next()? != '\\' || rest.next()? != 'u' {
        return None;
    }
    let second = utf16_unit(rest)?;
    char::decode_utf16([first, second]).next()?.ok()
}

fn utf16_unit(rest: &mut Peekable<Chars<'_>>) -> Option<u16> {
    let mut unit = 0u32;
    for _ in 0..4 {
        unit = unit << 4 | rest.next()?.to_digit(16)?;
    }
    u16::try_from(unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|property| (property.key, property.value))
            .collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_string(), value.to_string())
    }

    #[test]
    fn g7_byte_order_mark_crlf_comments_and_blank_lines() {
        assert_eq!(
            pairs("\u{feff}a=1\r\n# b=2\r\n  ! c=3\r\n\r\n\t d = 4\r\n"),
            [pair("a", "1"), pair("d", "4")]
        );
    }

    #[test]
    fn g7_a_line_without_equals_sign_is_split_as_java_splits_it() {
        assert_eq!(
            pairs("a b\nc:d\ne\nf = = g\nh=i \n"),
            [pair("a", "b"), pair("c", "d"), pair("e", ""), pair("f", "= g"), pair("h", "i ")]
        );
    }

    #[test]
    fn g7_continuations_and_escapes() {
        assert_eq!(
            pairs("a=1,\\\n   2,\\\r\n3\nb=x\\\\\nc=2\n"),
            [pair("a", "1,2,3"), pair("b", "x\\"), pair("c", "2")]
        );
        assert_eq!(pairs("a\\ b\\==\\t\\u0041\\uD83D\\uDE00\\q"), [pair("a b=", "\tA\u{1f600}q")]);
    }

    #[test]
    fn g7_the_last_of_two_stays_last() {
        assert_eq!(pairs("a=1\na=2"), [pair("a", "1"), pair("a", "2")]);
    }

    #[test]
    fn g7_what_cannot_be_read_names_its_line() {
        assert_eq!(parse(b"a=1\nb=\\u00"), Err(PropertiesError::BadUnicodeEscape { line: 2 }));
        assert_eq!(parse(b"a=1\nb=\xff"), Err(PropertiesError::NotUtf8 { line: 2 }));
        assert_eq!(parse(b"\n\n=x"), Err(PropertiesError::NoKey { line: 3 }));
        let long = format!("a=1\nb={}", "x".repeat(10 << 20));
        assert_eq!(
            parse(long.as_bytes()),
            Err(PropertiesError::LineTooLong {
                line: 2,
                bytes: 2 + (10 << 20)
            })
        );
    }
}
