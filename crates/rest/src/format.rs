//! Embedded formats: how keys and values lie in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::error::RestError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Any bytes, as base64.
    Binary,
    /// Any JSON value; stored as its text without blanks.
    Json,
    /// UTF-8, stored without quotes.
    Text,
}

impl Format {
    pub(crate) fn of(name: &str) -> Option<Format> {
        match name {
            "binary" => Some(Format::Binary),
            "json" => Some(Format::Json),
            "text" | "string" => Some(Format::Text),
            _ => None,
        }
    }

    /// Some clients take everything with "text" in its type for Latin-1, unless told otherwise.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Format::Binary => "application/vnd.kafka.binary.v2+json",
            Format::Json => "application/vnd.kafka.json.v2+json",
            Format::Text => "application/vnd.kafka.text.v2+json; charset=utf-8",
        }
    }

    /// What is stored for a key or value of a request, which lies in `body`; null is no bytes at all.
    pub(crate) fn decode(self, data: Option<&RawValue>, body: &Bytes) -> Result<Option<Bytes>, RestError> {
        let Some(data) = data else { return Ok(None) };
        let text = data.get();
        let as_string = |what: &str| {
            let string: Result<String, _> = serde_json::from_str(text);
            string.map_err(|_| RestError::bad_request(format!("data={} is not a {what}.", shortened(text))))
        };
        let bytes = match self {
            Format::Json if !text.bytes().any(|byte| byte.is_ascii_whitespace()) => return Ok(Some(body.slice_ref(text.as_bytes()))),
            Format::Json => without_blanks(text),
            Format::Text => as_string("string")?.into_bytes(),
            Format::Binary => {
                let string = as_string("base64 string")?;
                let decoded = STANDARD.decode(string.as_bytes());
                decoded.map_err(|_| RestError::bad_request(format!("data={} is not a valid base64 string.", shortened(&string))))?
            }
        };
        Ok(Some(Bytes::from(bytes)))
    }

    /// Appends what is shown for stored bytes; the error says why they cannot be shown.
    pub(crate) fn encode(self, data: Option<&Bytes>, out: &mut Vec<u8>) -> Result<(), String> {
        let Some(data) = data else {
            out.extend_from_slice(b"null");
            return Ok(());
        };
        match self {
            Format::Binary => push_string(&STANDARD.encode(data), out),
            Format::Json => {
                let checked: &RawValue = serde_json::from_slice(data).map_err(|error| format!("it is not JSON: {error}"))?;
                out.extend_from_slice(checked.get().as_bytes());
            }
            Format::Text => push_string(std::str::from_utf8(data).map_err(|error| format!("it is not text: {error}"))?, out),
        }
        Ok(())
    }
}

pub(crate) fn push_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text into memory");
}

/// For messages.
fn shortened(text: &str) -> String {
    const CHARACTERS_MAX: usize = 100;
    let mut short: String = text.chars().take(CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Numbers and strings stay as they were written; blanks between them go.
fn without_blanks(json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for &byte in json.as_bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(format: Format, json: &str) -> Result<Option<Bytes>, RestError> {
        let body = Bytes::copy_from_slice(json.as_bytes());
        let raw: Option<&RawValue> = serde_json::from_slice(&body).unwrap();
        format.decode(raw, &body)
    }

    fn shown(format: Format, bytes: &'static [u8]) -> Result<String, String> {
        let mut out = Vec::new();
        format.encode(Some(&Bytes::from_static(bytes)), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn json_is_stored_exactly_but_for_blanks() {
        let json = "{ \"b\" : 12345678901234567890123 ,\n\"a\":[ 1.0, \" \\\" \\\\\" , null ] }";
        let expected = "{\"b\":12345678901234567890123,\"a\":[1.0,\" \\\" \\\\\",null]}";
        assert_eq!(stored(Format::Json, json).unwrap().unwrap(), expected);
        assert_eq!(stored(Format::Json, "\"s\"").unwrap().unwrap(), "\"s\"");
        assert_eq!(stored(Format::Json, "null").unwrap(), None);
    }

    #[test]
    fn r2_bad_base64_is_named() {
        assert_eq!(stored(Format::Binary, "\"a2V5\"").unwrap().unwrap(), "key");
        let error = stored(Format::Binary, "\"a2V5!\"").unwrap_err();
        assert_eq!((error.status().as_u16(), error.code()), (400, 400));
        assert_eq!(error.message(), "data=a2V5! is not a valid base64 string.");
        assert_eq!(stored(Format::Binary, "1").unwrap_err().code(), 400);
        assert_eq!(stored(Format::Text, "{}").unwrap_err().code(), 400);
        assert_eq!(stored(Format::Text, "\"\\u00e4\"").unwrap().unwrap(), "ä");
    }

    #[test]
    fn stored_bytes_are_shown_or_refused() {
        assert_eq!(shown(Format::Binary, &[0, 255]).unwrap(), "\"AP8=\"");
        assert_eq!(shown(Format::Json, b"{\"a\":1}").unwrap(), "{\"a\":1}");
        assert_eq!(shown(Format::Text, b"a\"\n").unwrap(), "\"a\\\"\\n\"");
        for (format, bytes) in [
            (Format::Json, &b"{"[..]),
            (Format::Json, b""),
            (Format::Json, b"1 2"),
            (Format::Text, &[255]),
        ] {
            assert!(shown(format, bytes).is_err(), "{format:?} {bytes:?}");
        }
    }
}
