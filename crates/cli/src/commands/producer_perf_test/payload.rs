//! What the records of a measurement hold.

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use rand::RngExt;

/// Random letters that payloads are cut from: making each anew would measure the generator.
const LETTERS: usize = 4 * 1024 * 1024;

pub(super) enum Payload {
    Letters { pool: Bytes, bytes: usize },
    Listed(Vec<Bytes>),
    Monotonic,
}

impl Payload {
    pub(super) fn random(bytes: usize) -> Payload {
        let mut random = rand::rng();
        let pool: Vec<u8> = (0..LETTERS.max(2 * bytes)).map(|_| random.random_range(b'A'..=b'Z')).collect();
        Payload::Letters {
            pool: Bytes::from(pool),
            bytes,
        }
    }

    pub(super) fn from_file(file: &Path, delimiter: &str) -> anyhow::Result<Payload> {
        let content = std::fs::read(file).with_context(|| format!("File does not exist or cannot be read: {}", file.display()))?;
        let delimiter = delimiter.replace("\\n", "\n").replace("\\t", "\t").into_bytes();
        let payloads = split(&Bytes::from(content), &delimiter);
        anyhow::ensure!(
            !payloads.is_empty(),
            "File does not exist or empty file provided: {}",
            file.display()
        );
        Ok(Payload::Listed(payloads))
    }

    pub(super) fn next(&mut self, index: u64) -> Bytes {
        match self {
            Payload::Letters { pool, bytes } => {
                let start = rand::rng().random_range(0..=pool.len() - *bytes);
                pool.slice(start..start + *bytes)
            }
            Payload::Listed(payloads) => payloads[rand::rng().random_range(0..payloads.len())].clone(),
            Payload::Monotonic => Bytes::from(index.to_string()),
        }
    }
}

/// The pieces between the delimiters, without one that is empty at the end.
fn split(content: &Bytes, delimiter: &[u8]) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(at) = content[start..]
        .windows(delimiter.len().max(1))
        .position(|window| window == delimiter)
    {
        pieces.push(content.slice(start..start + at));
        start += at + delimiter.len();
    }
    if start < content.len() {
        pieces.push(content.slice(start..));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_of_the_size_or_of_the_list_asked_for() {
        let mut random = Payload::random(100);
        assert!((0..10).all(|index| random.next(index).len() == 100));
        assert_eq!(Payload::Monotonic.next(7), "7");
        assert_eq!(split(&Bytes::from("a--b--"), b"--"), ["a", "b"]);
        assert_eq!(split(&Bytes::from("a\n\nb"), b"\n"), ["a", "", "b"]);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Payload::from_file(file.path(), "\\n").is_err(), "an empty file");
        std::fs::write(file.path(), "x\nx\n").unwrap();
        assert_eq!(Payload::from_file(file.path(), "\\n").unwrap().next(0), "x");
    }
}
