//! Lines of standard input, read ahead by a thread, in blocks and without copying each.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;

use crate::limits::{LINE_BLOCKS_AHEAD, LINE_BYTES_MAX};

const READ_BYTES: usize = 256 * 1024;

/// Ends after the last line, or with an error. `prompt` asks for each line on stdout, as Kafka does on a terminal.
pub(super) fn lines_of_stdin(prompt: bool) -> mpsc::Receiver<io::Result<Vec<Bytes>>> {
    let (sender, receiver) = mpsc::channel(LINE_BLOCKS_AHEAD);
    std::thread::spawn(move || {
        let mut blocks = LineBlocks::new(io::stdin());
        loop {
            if prompt {
                let _ = io::stdout().write_all(b">").and_then(|()| io::stdout().flush());
            }
            let Some(block) = blocks.next() else { return };
            let failed = block.is_err();
            // The producer has given up, or reading has.
            if sender.blocking_send(block).is_err() || failed {
                return;
            }
        }
    });
    receiver
}

struct LineBlocks<R> {
    input: R,
    buffer: BytesMut,
    /// Bytes of the buffer that hold no line end.
    searched: usize,
    ended: bool,
}

impl<R: Read> LineBlocks<R> {
    fn new(input: R) -> LineBlocks<R> {
        LineBlocks {
            input,
            buffer: BytesMut::new(),
            searched: 0,
            ended: false,
        }
    }

    /// Reads once; how many bytes came.
    fn fill(&mut self) -> io::Result<usize> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_BYTES, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        self.buffer.truncate(filled + read.as_ref().copied().unwrap_or(0));
        read
    }

    /// The whole lines in the buffer, without their ends.
    fn take_lines(&mut self) -> Vec<Bytes> {
        let mut lines = Vec::new();
        while let Some(end) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
            let line = self.buffer.split_to(self.searched + end + 1).freeze();
            lines.push(line.slice(..line.len() - 1));
            self.searched = 0;
        }
        self.searched = self.buffer.len();
        lines
    }
}

impl<R: Read> Iterator for LineBlocks<R> {
    type Item = io::Result<Vec<Bytes>>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.fill() {
                Ok(0) => self.ended = true,
                Ok(_) => {
                    let lines = self.take_lines();
                    if !lines.is_empty() {
                        return Some(Ok(lines));
                    }
                    if self.buffer.len() > LINE_BYTES_MAX {
                        self.ended = true;
                        return Some(Err(io::Error::other(format!("a line is longer than {LINE_BYTES_MAX} bytes"))));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        // What follows the last line end is a line too, unless it is nothing.
        let rest = self.buffer.split().freeze();
        (!rest.is_empty()).then(|| Ok(vec![rest]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its input in pieces of one to seven bytes.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 % 7 + 1;
            let count = self.1.min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    #[test]
    fn c5_lines_keep_their_bytes_and_the_last_one_needs_no_end() {
        let input = b"plain\n\nnul\0\xff\xfe\r\nlast, longer than a piece";
        let expected: Vec<&[u8]> = vec![b"plain", b"", b"nul\0\xff\xfe\r", b"last, longer than a piece"];
        let lines: Vec<Bytes> = LineBlocks::new(Pieces(input, 0)).flat_map(Result::unwrap).collect();
        assert_eq!(lines, expected);
        let ended: Vec<Bytes> = LineBlocks::new(&b"a\n"[..]).flat_map(Result::unwrap).collect();
        assert_eq!(ended, ["a"]);
        assert!(LineBlocks::new(&b""[..]).next().is_none());
    }
}
