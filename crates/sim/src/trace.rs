//! What happened, line by line: always hashed, so that two runs can be compared, and printed on demand.

use std::fmt::{self, Write};

#[derive(Debug)]
pub struct Trace {
    hash: u64,
    print: bool,
}

impl Trace {
    pub fn new(print: bool) -> Trace {
        Trace {
            hash: 0xCBF2_9CE4_8422_2325,
            print,
        }
    }

    pub fn line(&mut self, now_ms: i64, what: fmt::Arguments<'_>) {
        if self.print {
            println!("{now_ms:>8} {what}");
        }
        write!(self, "{now_ms} {what}").expect("a hash takes everything");
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }
}

impl Write for Trace {
    /// FNV-1a.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        Ok(())
    }
}
