//! A stream of bytes taken apart into the JSON objects that follow each other in it.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::RestError;
use crate::limits::JSON_DEPTH_MAX;

/// What has arrived of objects that are not complete yet. Finds their ends, and leaves what is between to the parser.
#[derive(Default)]
pub(super) struct Objects {
    buffer: BytesMut,
    /// So much of the buffer has been looked at.
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Objects {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Takes out the next object, if all of it has arrived. After an error nothing more can be found.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, RestError> {
        if self.depth == 0 {
            let blanks = self.buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.buffer.advance(blanks);
            if self.buffer.first().is_some_and(|&byte| byte != b'{') {
                return Err(RestError::bad_request(
                    "The body must consist of JSON objects that follow each other.",
                ));
            }
        }
        while let Some(&byte) = self.buffer.get(self.scanned) {
            self.scanned += 1;
            if self.in_string {
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth -= 1,
                _ => {}
            }
            if self.depth > JSON_DEPTH_MAX {
                let reason = format!("The object is nested deeper than {JSON_DEPTH_MAX} levels.");
                return Err(RestError::bad_request(reason));
            }
            if self.depth == 0 {
                let end = std::mem::take(&mut self.scanned);
                return Ok(Some(self.buffer.split_to(end).freeze()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out if `text` comes in pieces of this size, and the error.
    fn split(text: &str, size: usize) -> (Vec<String>, Option<RestError>) {
        let mut objects = Objects::default();
        let mut found = Vec::new();
        for piece in text.as_bytes().chunks(size) {
            objects.push(piece);
            loop {
                match objects.next() {
                    Ok(Some(object)) => found.push(String::from_utf8(object.to_vec()).unwrap()),
                    Ok(None) => break,
                    Err(error) => return (found, Some(error)),
                }
            }
        }
        (found, None)
    }

    #[test]
    fn objects_are_found_however_they_come_in_pieces() {
        let text = " {} {\"a\":\"}{\\\"\\\\\"}\r\n{\"b\":[{\"c\":{}}]}{\"d";
        for size in 1..=text.len() {
            let (found, error) = split(text, size);
            assert_eq!(found, ["{}", "{\"a\":\"}{\\\"\\\\\"}", "{\"b\":[{\"c\":{}}]}"], "{size}");
            assert!(error.is_none());
        }
    }

    #[test]
    fn r2_what_is_no_object_ends_the_stream() {
        for text in ["[{}]", "{}, {}", "{}1", "{}\"", "}"] {
            assert_eq!(split(text, 1).1.map(|error| error.code()), Some(400), "{text}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(JSON_DEPTH_MAX));
        assert!(split(&deep, 1000).1.is_some_and(|error| error.message().contains("nested deeper")));
    }
}
