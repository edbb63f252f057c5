//! One segment: a log file and the two indexes beside it, from one base offset on.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dohle_protocol::batch::{BatchHeader, HEADER_BYTES, NO_TIMESTAMP};
use dohle_protocol::id::Offset;
use parking_lot::{Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile};
use crate::file_name;
use crate::index_file::IndexFile;
use crate::offset_index::OffsetEntry;
use crate::read_ends::ReadEnds;
use crate::scan::{Scan, ScanError};
use crate::time_index::TimeEntry;
use crate::txn_file::TxnFile;

/// Shared by the log, which appends to the last segment under its own lock, and by readers, which take no lock of the log.
#[derive(Debug)]
pub(crate) struct Segment {
    base_offset: Offset,
    index_interval_bytes: u32,
    log: Arc<dyn DiskFile>,
    /// Bytes of intact batches in the log file. Published after they are written.
    size: AtomicU64,
    /// What lies behind this position was checked when this process wrote it; what lies before it was found here.
    found_size: u64,
    read_ends: ReadEnds,
    indexes: Mutex<Indexes>,
    aborted: Mutex<TxnFile>,
}

#[derive(Debug)]
struct Indexes {
    offsets: IndexFile<OffsetEntry>,
    times: IndexFile<TimeEntry>,
    /// Looked at and found sane, or rebuilt.
    loaded: bool,
    rebuilt: bool,
    /// The first of the newest batches; valid when loaded. `relative_offset` is that of its last record.
    newest: Option<TimeEntry>,
    first_timestamp: Option<i64>,
}

impl Segment {
    /// A segment without a batch; makes its log file.
    pub(crate) fn create(disk: &dyn Disk, dir: &Path, base_offset: Offset, index_interval_bytes: u32) -> io::Result<Segment> {
        Segment::create_as(disk, dir, base_offset, "", index_interval_bytes)
    }

    /// The same, with `suffix` at the names of its files.
    pub(crate) fn create_as(
        disk: &dyn Disk,
        dir: &Path,
        base_offset: Offset,
        suffix: &str,
        index_interval_bytes: u32,
    ) -> io::Result<Segment> {
        let file = |extension| disk.file(dir.join(file_name::of(base_offset, extension) + suffix));
        disk.create_file(&dir.join(file_name::of(base_offset, file_name::LOG) + suffix))?;
        Ok(Segment {
            base_offset,
            index_interval_bytes,
            log: file(file_name::LOG),
            size: AtomicU64::new(0),
            found_size: 0,
            read_ends: ReadEnds::default(),
            indexes: Mutex::new(Indexes {
                offsets: IndexFile::empty(file(file_name::OFFSET_INDEX)),
                times: IndexFile::empty(file(file_name::TIME_INDEX)),
                loaded: true,
                rebuilt: false,
                newest: None,
                first_timestamp: None,
            }),
            aborted: Mutex::new(TxnFile::empty(file(file_name::TXN_INDEX))),
        })
    }

    /// A segment whose files are there; none of them is touched.
    pub(crate) fn existing(disk: &dyn Disk, dir: &Path, base_offset: Offset, size: u64, index_interval_bytes: u32) -> Segment {
        let file = |extension| disk.file(dir.join(file_name::of(base_offset, extension)));
        Segment {
            base_offset,
            index_interval_bytes,
            log: file(file_name::LOG),
            size: AtomicU64::new(size),
            found_size: size,
            read_ends: ReadEnds::default(),
            indexes: Mutex::new(Indexes {
                offsets: IndexFile::existing(file(file_name::OFFSET_INDEX)),
                times: IndexFile::existing(file(file_name::TIME_INDEX)),
                loaded: false,
                rebuilt: false,
                newest: None,
                first_timestamp: None,
            }),
            aborted: Mutex::new(TxnFile::empty(file(file_name::TXN_INDEX))),
        }
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.base_offset
    }

    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub(crate) fn log(&self) -> &Arc<dyn DiskFile> {
        &self.log
    }

    /// Bytes that were in the log file when it was opened: the disk may have changed them since they were written.
    pub(crate) fn found_size(&self) -> u64 {
        self.found_size
    }

    pub(crate) fn read_ends(&self) -> &ReadEnds {
        &self.read_ends
    }

    /// Iterates over all batches.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan::new(&*self.log, 0, self.size(), self.base_offset)
    }

    /// Whether the indexes can name this offset.
    pub(crate) fn can_hold(&self, offset: Offset) -> bool {
        (0..=i64::from(i32::MAX)).contains(&(offset - self.base_offset))
    }

    /// Writes `data`, which consists of the batches with these headers. After an error the file is as before, or if it cannot be brought
    /// back to that, the error is [`AppendFailure::Torn`].
    pub(crate) fn append(&self, data: &[u8], headers: &[BatchHeader]) -> Result<(), AppendFailure> {
        drop(self.indexes().map_err(AppendFailure::Refused)?);
        let mut position = self.size();
        if let Err(error) = self.log.write_at(position, data) {
            return Err(match self.log.set_len(position) {
                Ok(()) => AppendFailure::Refused(error),
                Err(_) => AppendFailure::Torn(error),
            });
        }
        let mut indexes = self.indexes().map_err(AppendFailure::Torn)?;
        for header in headers {
            self.note(&mut indexes, position, header).map_err(AppendFailure::Torn)?;
            position += header.size_in_bytes() as u64;
        }
        drop(indexes);
        self.size.store(position, Ordering::Release);
        Ok(())
    }

    /// Takes a batch at `position` into the indexes.
    fn note(&self, indexes: &mut Indexes, position: u64, header: &BatchHeader) -> io::Result<()> {
        let relative_offset = (header.last_offset() - self.base_offset) as i32;
        if position == 0 {
            indexes.first_timestamp = Some(header.max_timestamp);
        }
        if indexes.newest.is_none_or(|newest| header.max_timestamp > newest.timestamp) {
            indexes.newest = Some(TimeEntry {
                timestamp: header.max_timestamp,
                relative_offset,
            });
        }
        let indexed_to = indexes.offsets.last()?.map_or(0, |entry| entry.position as u64);
        if position - indexed_to > u64::from(self.index_interval_bytes) {
            indexes.offsets.push(OffsetEntry {
                relative_offset,
                position: position as i32,
            });
            indexes.note_newest()?;
        }
        Ok(())
    }

    /// The indexes, checked when they are first needed and rebuilt from the log if they cannot be right.
    fn indexes(&self) -> io::Result<MutexGuard<'_, Indexes>> {
        let mut indexes = self.indexes.lock();
        if !indexes.loaded {
            match indexes
                .load(self.size(), self.index_interval_bytes)
                .and_then(|()| self.verify_newest(&mut indexes))
            {
                Ok(()) => indexes.loaded = true,
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound) => {
                    tracing::warn!(base_offset = self.base_offset.0, %error, "rebuilding the indexes of a segment");
                    self.rebuild(&mut indexes)?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(indexes)
    }

    /// Retention deletes by the newest timestamp, so it is believed only if there is such a batch.
    fn verify_newest(&self, indexes: &mut Indexes) -> io::Result<()> {
        let Some(newest) = indexes.newest else { return Ok(()) };
        if self.describes_batch(indexes, newest)? {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the last entry of the time index describes no batch",
        ))
    }

    /// Whether there is a batch with this last offset, and this is its newest timestamp.
    fn describes_batch(&self, indexes: &mut Indexes, entry: TimeEntry) -> io::Result<bool> {
        let position = indexes
            .offsets
            .floor(i64::from(entry.relative_offset))?
            .0
            .map_or(0, |floor| floor.position.max(0) as u64);
        let last_offset = self.base_offset + i64::from(entry.relative_offset);
        let mut scan = Scan::new(&*self.log, position, self.size(), self.base_offset);
        loop {
            match scan.next_header() {
                Ok(Some((_, header))) if header.last_offset() < last_offset => {}
                Ok(Some((_, header))) => return Ok(header.last_offset() == last_offset && header.max_timestamp == entry.timestamp),
                Ok(None) | Err(ScanError::Invalid { .. }) => return Ok(false),
                Err(ScanError::Io(error)) => return Err(error),
            }
        }
    }

    /// Checks the indexes now, and rebuilds them if need be.
    pub(crate) fn check_indexes(&self) -> io::Result<()> {
        self.indexes().map(drop)
    }

    /// Reads the indexes off the log, up to the first batch that has no valid header.
    fn rebuild(&self, indexes: &mut Indexes) -> io::Result<()> {
        self.reset(indexes);
        let mut scan = self.scan();
        loop {
            match scan.next_header() {
                Ok(Some((position, header))) => self.note(indexes, position, &header)?,
                Ok(None) => break,
                Err(ScanError::Io(error)) => return Err(error),
                Err(error) => {
                    tracing::error!(base_offset = self.base_offset.0, %error, "a segment is damaged; what follows is not indexed");
                    break;
                }
            }
        }
        indexes.note_newest()?;
        indexes.flush()
    }

    fn reset(&self, indexes: &mut Indexes) {
        indexes.offsets = IndexFile::empty(Arc::clone(indexes.offsets.file()));
        indexes.times = IndexFile::empty(Arc::clone(indexes.times.file()));
        indexes.newest = None;
        indexes.first_timestamp = None;
        indexes.loaded = true;
        indexes.rebuilt = true;
    }

    /// Forgets the indexes; [`Segment::note_recovered`] then builds them anew.
    pub(crate) fn reset_indexes(&self) {
        self.reset(&mut self.indexes.lock());
    }

    pub(crate) fn note_recovered(&self, position: u64, header: &BatchHeader) -> io::Result<()> {
        self.note(&mut self.indexes.lock(), position, header)
    }

    /// After a lookup led to something that is no batch: rebuilds the indexes, but only once. Tells whether it is worth trying again.
    pub(crate) fn distrust_indexes(&self) -> io::Result<bool> {
        let mut indexes = self.indexes.lock();
        if indexes.rebuilt {
            return Ok(false);
        }
        tracing::warn!(
            base_offset = self.base_offset.0,
            "an index entry does not lead to a batch; rebuilding the indexes of the segment"
        );
        self.rebuild(&mut indexes)?;
        Ok(true)
    }

    /// Where to begin looking for the batch with `offset`, the offset that the batch there must not begin above, and in which batch the next
    /// index entry points.
    pub(crate) fn lookup(&self, offset: Offset) -> io::Result<Lookup> {
        let (floor, next) = self.indexes()?.offsets.floor(offset - self.base_offset)?;
        Ok(Lookup {
            position: floor.map_or(0, |entry| entry.position.max(0) as u64),
            offset_max: self.base_offset + floor.map_or(i64::from(i32::MAX), |entry| i64::from(entry.relative_offset)),
            next_offset: next.map(|entry| self.base_offset + i64::from(entry.relative_offset)),
        })
    }

    /// From which offset on to look for the first record as new as `timestamp`.
    pub(crate) fn lookup_time(&self, timestamp: i64) -> io::Result<Offset> {
        let mut indexes = self.indexes()?;
        for _ in 0..2 {
            match indexes.times.floor(timestamp)?.0 {
                None => break,
                Some(entry) if self.describes_batch(&mut indexes, entry)? => return Ok(self.base_offset + i64::from(entry.relative_offset)),
                Some(_) if indexes.rebuilt => break,
                Some(_) => self.rebuild(&mut indexes)?,
            }
        }
        Ok(self.base_offset)
    }

    /// The newest timestamp, and the last offset of the first batch that has it. `None` in an empty segment.
    pub(crate) fn newest(&self) -> io::Result<Option<(i64, Offset)>> {
        if self.size() == 0 {
            return Ok(None);
        }
        let newest = self.indexes()?.newest;
        Ok(newest.map(|entry| (entry.timestamp, self.base_offset + i64::from(entry.relative_offset))))
    }

    /// What the age of the segment is measured by: the timestamp of its first batch.
    pub(crate) fn first_timestamp(&self) -> io::Result<Option<i64>> {
        if self.size() == 0 {
            return Ok(None);
        }
        let mut indexes = self.indexes.lock();
        if indexes.first_timestamp.is_none() {
            let header = BatchHeader::parse(&self.log.read_at(0, HEADER_BYTES)?).ok();
            indexes.first_timestamp = header.map(|header| header.max_timestamp);
        }
        Ok(indexes.first_timestamp.filter(|timestamp| *timestamp > NO_TIMESTAMP))
    }

    /// Bytes that the offset index takes.
    pub(crate) fn offset_index_bytes(&self) -> io::Result<usize> {
        self.indexes()?.offsets.bytes()
    }

    /// Writes the indexes to their files, as the segment is complete or the log is being closed. Does nothing if they are there already.
    pub(crate) fn write_indexes(&self) -> io::Result<()> {
        let mut indexes = self.indexes.lock();
        if !indexes.loaded || self.size() == 0 {
            return Ok(());
        }
        indexes.note_newest()?;
        indexes.flush()
    }

    /// The files that have to be synced with the log file; a segment that is complete has its indexes on disk.
    pub(crate) fn files_to_sync(&self, complete: bool, files: &mut Vec<Arc<dyn DiskFile>>) {
        files.push(Arc::clone(&self.log));
        if complete {
            let indexes = self.indexes.lock();
            files.extend([Arc::clone(indexes.offsets.file()), Arc::clone(indexes.times.file())]);
        }
        let aborted = self.aborted.lock();
        if !aborted.entries().is_empty() {
            files.push(Arc::clone(aborted.file()));
        }
    }

    /// The aborted transactions whose marker is in this segment.
    pub(crate) fn aborted(&self) -> MutexGuard<'_, TxnFile> {
        self.aborted.lock()
    }

    /// Offset after the last batch, found from the last index entry on. An invalid batch there is an error, and so is an entry whose offset
    /// is the last of no batch: no checksum covers the base offset of a batch, only this second record of it.
    pub(crate) fn read_end_offset(&self) -> Result<Offset, ScanError> {
        if self.size() == 0 {
            return Ok(self.base_offset);
        }
        let lookup = self.lookup(Offset(i64::MAX - 1).min(self.base_offset + i64::from(i32::MAX)))?;
        let mut scan = Scan::new(&*self.log, lookup.position, self.size(), self.base_offset);
        let mut end = self.base_offset;
        let mut is_as_indexed = lookup.position == 0;
        while let Some((_, header)) = scan.next_header()? {
            is_as_indexed |= header.last_offset() == lookup.offset_max;
            end = header.next_offset();
        }
        if !is_as_indexed {
            let reason = "the batches are not those of the last index entry";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason).into());
        }
        Ok(end)
    }

    /// Removes the batch that contains `offset` and all after it. Returns the offset after the last batch that stays.
    pub(crate) fn truncate_to(&self, offset: Offset) -> Result<Offset, ScanError> {
        let lookup = self.lookup(offset)?;
        let mut scan = Scan::new(&*self.log, lookup.position, self.size(), self.base_offset);
        let mut kept = None;
        let mut cut_at = self.size();
        while let Some((position, header)) = scan.next_header()? {
            if header.last_offset() >= offset {
                cut_at = position;
                break;
            }
            kept = Some(header.next_offset());
        }
        self.cut(cut_at, offset)?;
        match kept {
            Some(end) => Ok(end),
            None => self.read_end_offset(),
        }
    }

    /// Cuts the log file at a position, behind which only offsets from `offset` on are.
    pub(crate) fn cut(&self, position: u64, offset: Offset) -> io::Result<()> {
        let mut indexes = self.indexes()?;
        // Readers first: they must not look for what is being removed.
        self.size.store(position, Ordering::Release);
        self.read_ends.forget();
        self.log.set_len(position)?;
        indexes.offsets.truncate(|entry| u64::from(entry.position as u32) < position)?;
        let relative_offset = offset - self.base_offset;
        indexes.times.truncate(|entry| i64::from(entry.relative_offset) < relative_offset)?;
        self.reload_newest(&mut indexes, position)
    }

    /// What came after the last time index entry that was kept has to be looked at again.
    fn reload_newest(&self, indexes: &mut Indexes, size: u64) -> io::Result<()> {
        indexes.newest = None;
        if size == 0 {
            indexes.first_timestamp = None;
            return Ok(());
        }
        indexes.newest = indexes.times.last()?;
        let indexed_to = indexes.offsets.last()?.map_or(0, |entry| entry.position as u64);
        let mut scan = Scan::new(&*self.log, indexed_to, size, self.base_offset);
        while let Ok(Some((_, header))) = scan.next_header() {
            if indexes.newest.is_none_or(|newest| header.max_timestamp > newest.timestamp) {
                let relative_offset = (header.last_offset() - self.base_offset) as i32;
                indexes.newest = Some(TimeEntry {
                    timestamp: header.max_timestamp,
                    relative_offset,
                });
            }
        }
        Ok(())
    }

    /// Gives all file descriptors back, as the log is not being used.
    pub(crate) fn close_files(&self) {
        self.log.close();
        let indexes = self.indexes.lock();
        indexes.offsets.file().close();
        indexes.times.file().close();
        self.aborted.lock().file().close();
    }

    /// Renames one of the files; it is no error if there is none.
    pub(crate) fn rename(&self, extension: &str, to: &Path) -> io::Result<()> {
        let file = match extension {
            file_name::OFFSET_INDEX => Arc::clone(self.indexes.lock().offsets.file()),
            file_name::TIME_INDEX => Arc::clone(self.indexes.lock().times.file()),
            file_name::TXN_INDEX => Arc::clone(self.aborted.lock().file()),
            _ => Arc::clone(&self.log),
        };
        match file.rename(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Should it be made later, then under its new name.
                file.moved_to(to.to_owned());
                Ok(())
            }
            result => result,
        }
    }

    /// The directory has been renamed.
    pub(crate) fn moved_to(&self, dir: &Path) {
        let path = |extension| dir.join(file_name::of(self.base_offset, extension));
        let indexes = self.indexes.lock();
        self.log.moved_to(path(file_name::LOG));
        indexes.offsets.file().moved_to(path(file_name::OFFSET_INDEX));
        indexes.times.file().moved_to(path(file_name::TIME_INDEX));
        self.aborted.lock().file().moved_to(path(file_name::TXN_INDEX));
    }
}

/// See [`Segment::lookup`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup {
    pub(crate) position: u64,
    pub(crate) offset_max: Offset,
    /// In the batch of the next index entry; `None` if no index entry follows.
    pub(crate) next_offset: Option<Offset>,
}

/// Why nothing was appended.
#[derive(Debug)]
pub(crate) enum AppendFailure {
    /// The file is as it was before.
    Refused(io::Error),
    /// The file may end in a part of the batches.
    Torn(io::Error),
}

impl Indexes {
    /// Looks at the ends of the index files. An error of kind `InvalidData` or `NotFound` asks for a rebuild.
    fn load(&mut self, log_size: u64, index_interval_bytes: u32) -> io::Result<()> {
        let invalid = |what: &str| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        if log_size == 0 {
            self.offsets = IndexFile::empty(Arc::clone(self.offsets.file()));
            self.times = IndexFile::empty(Arc::clone(self.times.file()));
            return Ok(());
        }
        match self.offsets.last()? {
            None if log_size > u64::from(index_interval_bytes) => return invalid("the offset index is empty"),
            Some(last) if last.relative_offset < 0 || last.position <= 0 || last.position as u64 >= log_size => {
                return invalid("the last entry of the offset index cannot be right");
            }
            _ => {}
        }
        let (first, last) = (self.times.get(0)?, self.times.last()?);
        match (first, last) {
            (Some(first), Some(last)) if last.timestamp >= first.timestamp && last.relative_offset >= first.relative_offset.max(0) => {}
            (None, None) => return invalid("the time index is empty"),
            _ => return invalid("the last entry of the time index cannot be right"),
        }
        self.newest = last;
        Ok(())
    }

    /// Brings the time index up to date with the newest batch.
    fn note_newest(&mut self) -> io::Result<()> {
        let Some(newest) = self.newest.filter(|newest| newest.timestamp > NO_TIMESTAMP) else {
            return Ok(());
        };
        if self.times.last()?.is_none_or(|last| newest.timestamp > last.timestamp) {
            self.times.push(newest);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.offsets.flush()?;
        self.times.flush()
    }
}
