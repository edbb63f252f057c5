//! From a line to key, value and headers, with the properties of Kafka's LineMessageReader.

use bytes::Bytes;
use dohle_client::Properties;
use dohle_protocol::record::Header;

#[derive(Debug)]
pub(super) struct LineReader {
    parse_key: bool,
    key_separator: Vec<u8>,
    parse_headers: bool,
    headers_delimiter: Vec<u8>,
    headers_separator: Vec<u8>,
    headers_key_separator: Vec<u8>,
    null_marker: Option<Vec<u8>>,
    ignore_error: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ParsedLine {
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<Header>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("No {what} found on line number {number}: '{line}'")]
    Missing { what: &'static str, number: u64, line: String },
    #[error("No header key separator found in pair '{pair}' on line number {number}")]
    MissingInPair { pair: String, number: u64 },
    #[error("Header keys should not be equal to the null marker '{0}' as they can't be null")]
    NullHeaderKey(String),
    #[error("{0} and {1} may not be equal")]
    Ambiguous(&'static str, &'static str),
}

impl LineReader {
    pub(super) fn new(properties: &Properties) -> Result<LineReader, LineError> {
        let bytes = |key: &str, default: &str| properties.get(key).unwrap_or(default).as_bytes().to_vec();
        let reader = LineReader {
            parse_key: properties.is_true("parse.key", false),
            key_separator: bytes("key.separator", "\t"),
            parse_headers: properties.is_true("parse.headers", false),
            headers_delimiter: bytes("headers.delimiter", "\t"),
            headers_separator: bytes("headers.separator", ","),
            headers_key_separator: bytes("headers.key.separator", ":"),
            null_marker: properties.get("null.marker").map(|marker| marker.as_bytes().to_vec()),
            ignore_error: properties.is_true("ignore.error", false),
        };
        let separators = [
            ("headers.delimiter", &reader.headers_delimiter),
            ("headers.separator", &reader.headers_separator),
            ("headers.key.separator", &reader.headers_key_separator),
        ];
        for (index, (name, separator)) in separators.iter().enumerate() {
            if let Some((other, _)) = separators[index + 1..].iter().find(|(_, other)| other == separator) {
                return Err(LineError::Ambiguous(name, other));
            }
        }
        for (name, separator) in separators.into_iter().chain([("key.separator", &reader.key_separator)]) {
            if reader.null_marker.as_ref() == Some(separator) {
                return Err(LineError::Ambiguous("null.marker", name));
            }
        }
        Ok(reader)
    }

    pub(super) fn parse(&self, line: Bytes, number: u64) -> Result<ParsedLine, LineError> {
        let whole = line.clone();
        let (headers, line) = self.take_field(
            self.parse_headers,
            line,
            &self.headers_delimiter,
            "headers delimiter",
            &whole,
            number,
        )?;
        let (key, value) = self.take_field(self.parse_key, line, &self.key_separator, "key separator", &whole, number)?;
        let headers = headers.and_then(|headers| self.unless_null(headers));
        Ok(ParsedLine {
            key: key.and_then(|key| self.unless_null(key)),
            value: self.unless_null(value),
            headers: headers.map_or_else(|| Ok(Vec::new()), |headers| self.split_headers(&headers, number))?,
        })
    }

    /// What stands before the separator, and the rest; all is rest if the field is not to be parsed, or is missing and may be.
    fn take_field(
        &self,
        wanted: bool,
        line: Bytes,
        separator: &[u8],
        what: &'static str,
        whole: &Bytes,
        number: u64,
    ) -> Result<(Option<Bytes>, Bytes), LineError> {
        if !wanted {
            return Ok((None, line));
        }
        match find(&line, separator) {
            Some(at) => Ok((Some(line.slice(..at)), line.slice(at + separator.len()..))),
            None if self.ignore_error => Ok((None, line)),
            None => Err(LineError::Missing {
                what,
                number,
                line: String::from_utf8_lossy(whole).into_owned(),
            }),
        }
    }

    fn unless_null(&self, field: Bytes) -> Option<Bytes> {
        (self.null_marker.as_deref() != Some(&field[..])).then_some(field)
    }

    fn split_headers(&self, headers: &Bytes, number: u64) -> Result<Vec<Header>, LineError> {
        let mut pairs = Vec::new();
        let mut rest = headers.clone();
        while let Some(at) = find(&rest, &self.headers_separator) {
            pairs.push(rest.slice(..at));
            rest = rest.slice(at + self.headers_separator.len()..);
        }
        pairs.push(rest);
        // Java's split drops empty pieces at the end, but leaves one if there is nothing else.
        while pairs.len() > 1 && pairs.last().is_some_and(Bytes::is_empty) {
            pairs.pop();
        }
        pairs.into_iter().map(|pair| self.parse_header(pair, number)).collect()
    }

    fn parse_header(&self, pair: Bytes, number: u64) -> Result<Header, LineError> {
        let Some(at) = find(&pair, &self.headers_key_separator) else {
            if self.ignore_error {
                return Ok(Header { key: pair, value: None });
            }
            return Err(LineError::MissingInPair {
                pair: String::from_utf8_lossy(&pair).into_owned(),
                number,
            });
        };
        let key = pair.slice(..at);
        if self.null_marker.as_deref() == Some(&key[..]) {
            return Err(LineError::NullHeaderKey(String::from_utf8_lossy(&key).into_owned()));
        }
        Ok(Header {
            key,
            value: self.unless_null(pair.slice(at + self.headers_key_separator.len()..)),
        })
    }
}

/// Where `needle` begins; an empty needle is found at once.
fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return Some(0);
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(pairs: &[&str]) -> Result<LineReader, LineError> {
        let mut properties = Properties::default();
        pairs.iter().for_each(|pair| properties.add_pair(pair).unwrap());
        LineReader::new(&properties)
    }

    fn parse(pairs: &[&str], line: &'static [u8]) -> Result<ParsedLine, String> {
        reader(pairs)
            .unwrap()
            .parse(Bytes::from_static(line), 3)
            .map_err(|error| error.to_string())
    }

    fn line(key: Option<&'static str>, value: Option<&'static str>, headers: Vec<Header>) -> ParsedLine {
        ParsedLine {
            key: key.map(Bytes::from),
            value: value.map(Bytes::from),
            headers,
        }
    }

    #[test]
    fn c5_a_line_is_a_value_as_it_is() {
        let parsed = parse(&[], b"a\tb\0\xff").unwrap();
        assert_eq!(
            parsed,
            ParsedLine {
                value: Some(Bytes::from_static(b"a\tb\0\xff")),
                ..ParsedLine::default()
            }
        );
    }

    #[test]
    fn keys_and_headers_stand_before_the_value() {
        assert_eq!(
            parse(&["parse.key=true"], b"k\tv\tw").unwrap(),
            line(Some("k"), Some("v\tw"), vec![])
        );
        assert_eq!(
            parse(&["parse.key=true", "key.separator=::"], b"k::v").unwrap(),
            line(Some("k"), Some("v"), vec![])
        );
        let headers = vec![Header::new("h1", "v1"), Header::new("h2", "")];
        assert_eq!(
            parse(&["parse.headers=true"], b"h1:v1,h2:\tv").unwrap(),
            line(None, Some("v"), headers.clone())
        );
        assert_eq!(
            parse(&["parse.headers=true", "parse.key=TRUE"], b"h1:v1,h2:\tk\tv").unwrap(),
            line(Some("k"), Some("v"), headers)
        );
    }

    #[test]
    fn the_null_marker_stands_for_null() {
        let properties = ["parse.key=true", "parse.headers=true", "null.marker=NULL"];
        assert_eq!(parse(&properties, b"NULL\tNULL\tNULL").unwrap(), ParsedLine::default());
        let header = Header {
            key: Bytes::from("h"),
            value: None,
        };
        assert_eq!(
            parse(&properties, b"h:NULL\tk\tv").unwrap(),
            line(Some("k"), Some("v"), vec![header])
        );
        assert!(parse(&properties, b"NULL:v\tk\tv").unwrap_err().contains("Header keys"));
    }

    #[test]
    fn missing_separators_are_errors_unless_ignored() {
        let error = parse(&["parse.key=true"], b"novalue").unwrap_err();
        assert_eq!(error, "No key separator found on line number 3: 'novalue'");
        assert!(parse(&["parse.headers=true"], b"h\tv").unwrap_err().contains("pair 'h'"));
        assert_eq!(
            parse(&["parse.key=true", "ignore.error=true"], b"novalue").unwrap(),
            line(None, Some("novalue"), vec![])
        );
    }

    #[test]
    fn separators_must_differ() {
        assert!(reader(&["headers.separator=:"]).is_err());
        assert!(reader(&["headers.delimiter=,"]).is_err());
        assert!(reader(&["null.marker=,"]).is_err());
        assert!(reader(&["null.marker=\t"]).is_err());
    }
}
