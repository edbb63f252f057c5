//! Looks whether a log still has what was synced, before recovery cuts off whatever follows the first damage.

use std::io;
use std::path::Path;

use bytes::Bytes;
use dohle_protocol::batch::RecordBatch;
use dohle_storage::Disk;

const SUFFIX: &str = ".log";

/// What there is of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intact {
    /// Index after the last entry that is there and whole with all before it.
    pub(crate) end: u64,
    /// Index of an entry that is whole behind one that is damaged or missing. A crash leaves the beginning of what was not synced, as a rule:
    /// most likely entries that were durable have been lost. Whoever cannot tell must not vote as if it had lost nothing.
    pub(crate) beyond_damage: Option<u64>,
}

/// Looks at the entries from `start` on.
pub(crate) fn intact(disk: &dyn Disk, dir: &Path, start: u64) -> io::Result<Intact> {
    let mut segments: Vec<u64> = disk
        .list(dir)?
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(SUFFIX)?.parse().ok())
        .collect();
    segments.sort_unstable();
    // The segment that holds `start` is the last one that does not begin behind it.
    let first = segments.partition_point(|base| *base <= start).saturating_sub(1);
    let mut found = Intact {
        end: start,
        beyond_damage: None,
    };
    for base in segments.into_iter().skip(first) {
        let path = dir.join(format!("{base:020}{SUFFIX}"));
        let length = disk.len(&path)?.unwrap_or(0) as usize;
        let mut rest = disk.file(path).read_at(0, length)?;
        while let Some(batch) = whole_batch(&rest) {
            let (base, after) = (batch.header.base_offset.0 as u64, batch.header.next_offset().0 as u64);
            if base > found.end {
                found.beyond_damage = Some(base);
                return Ok(found);
            }
            found.end = found.end.max(after);
            rest = rest.slice(batch.bytes.len()..);
        }
        if let Some(batch) = (1..rest.len()).find_map(|at| whole_batch(&rest.slice(at..))) {
            found.beyond_damage = Some(batch.header.base_offset.0 as u64);
            return Ok(found);
        }
    }
    Ok(found)
}

fn whole_batch(bytes: &Bytes) -> Option<RecordBatch> {
    RecordBatch::parse(bytes).ok().filter(|batch| batch.verify_crc().is_ok())
}
