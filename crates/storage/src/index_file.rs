//! What the offset index and the time index have in common: fixed-size entries in rising order, a part in the file and a tail in memory.
//!
//! The tail grows with the log and goes to the file when the segment is closed. Nothing of the file is kept in memory: a lookup is a
//! binary search with small reads. Whether entries make sense is for the segment to judge, which can compare them with the log.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;

/// An entry of fixed size that can be searched for.
pub(crate) trait IndexEntry: Copy {
    const BYTES: usize;
    /// What rises from entry to entry, and is searched by.
    fn key(&self) -> i64;
    fn encode(&self, out: &mut Vec<u8>);
    /// `bytes` has [`IndexEntry::BYTES`] bytes.
    fn decode(bytes: &[u8]) -> Self;
}

#[derive(Debug)]
pub(crate) struct IndexFile<E> {
    file: Arc<dyn DiskFile>,
    /// Entries in the file that count; `None` = the file has not been looked at.
    in_file: Option<usize>,
    tail: Vec<E>,
    /// The file holds exactly the entries.
    is_written: bool,
}

impl<E: IndexEntry> IndexFile<E> {
    /// The index of a segment that is just being created, or rebuilt: whatever an existing file holds is void.
    pub(crate) fn empty(file: Arc<dyn DiskFile>) -> IndexFile<E> {
        IndexFile {
            file,
            in_file: Some(0),
            tail: Vec::new(),
            is_written: false,
        }
    }

    /// An index whose entries are in a file.
    pub(crate) fn existing(file: Arc<dyn DiskFile>) -> IndexFile<E> {
        IndexFile {
            file,
            in_file: None,
            tail: Vec::new(),
            is_written: true,
        }
    }

    pub(crate) fn file(&self) -> &Arc<dyn DiskFile> {
        &self.file
    }

    /// Number of entries. A file that ends within an entry is an error of kind `InvalidData`.
    pub(crate) fn len(&mut self) -> io::Result<usize> {
        let in_file = match self.in_file {
            Some(entries) => entries,
            None => {
                let bytes = self.file.len()? as usize;
                if !bytes.is_multiple_of(E::BYTES) {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!("an index of {bytes} bytes ends within an entry"),
                    ));
                }
                *self.in_file.insert(bytes / E::BYTES)
            }
        };
        Ok(in_file + self.tail.len())
    }

    pub(crate) fn get(&mut self, at: usize) -> io::Result<Option<E>> {
        if at >= self.len()? {
            return Ok(None);
        }
        let in_file = self.in_file.unwrap_or(0);
        if at >= in_file {
            return Ok(Some(self.tail[at - in_file]));
        }
        let bytes = self.file.read_at((at * E::BYTES) as u64, E::BYTES)?;
        if bytes.len() < E::BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some(E::decode(&bytes)))
    }

    pub(crate) fn last(&mut self) -> io::Result<Option<E>> {
        match self.len()? {
            0 => Ok(None),
            entries => self.get(entries - 1),
        }
    }

    /// Position of the first entry that is not `below`; the entries below come before all others.
    fn partition_point(&mut self, below: impl Fn(&E) -> bool) -> io::Result<usize> {
        let entries = self.len()?;
        let in_file = self.in_file.unwrap_or(0);
        if self.tail.first().is_some_and(&below) {
            return Ok(in_file + self.tail.partition_point(below));
        }
        let (mut low, mut high) = (0, in_file.min(entries));
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)? {
                Some(entry) if below(&entry) => low = middle + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// The last entry whose key is no greater than `key`, and the one after it.
    pub(crate) fn floor(&mut self, key: i64) -> io::Result<(Option<E>, Option<E>)> {
        let above = self.partition_point(|entry| entry.key() <= key)?;
        let floor = if above == 0 { None } else { self.get(above - 1)? };
        Ok((floor, self.get(above)?))
    }

    pub(crate) fn push(&mut self, entry: E) {
        self.tail.push(entry);
        self.is_written = false;
    }

    /// Keeps the entries that are `below`, which come before all others.
    pub(crate) fn truncate(&mut self, below: impl Fn(&E) -> bool) -> io::Result<()> {
        let entries = self.partition_point(below)?;
        self.is_written &= entries == self.len()?;
        let in_file = self.in_file.unwrap_or(0);
        self.tail.truncate(entries.saturating_sub(in_file));
        self.in_file = Some(in_file.min(entries));
        Ok(())
    }

    /// Puts the tail into the file, which afterwards holds all entries and nothing else.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.is_written {
            return Ok(());
        }
        self.len()?;
        let in_file = self.in_file.unwrap_or(0);
        let mut bytes = Vec::with_capacity(self.tail.len() * E::BYTES);
        for entry in &self.tail {
            entry.encode(&mut bytes);
        }
        // An empty write creates a missing file all the same.
        self.file.write_at((in_file * E::BYTES) as u64, &bytes)?;
        let length = (in_file * E::BYTES + bytes.len()) as u64;
        if self.file.len()? != length {
            self.file.set_len(length)?;
        }
        self.in_file = Some(in_file + self.tail.len());
        self.tail = Vec::new();
        self.is_written = true;
        Ok(())
    }

    /// Size that the file will have.
    pub(crate) fn bytes(&mut self) -> io::Result<usize> {
        Ok(self.len()? * E::BYTES)
    }
}
