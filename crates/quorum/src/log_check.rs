//! Looks whether a log still has what was synced, before recovery cuts off whatever follows the first damage.

use std::io;
use std::path::Path;

use dohle_protocol::batch;
use dohle_storage::Disk;

const SUFFIX: &str = ".log";

/// Index after the last entry, from `start` on, that is there and whole with all before it. Looks no further than `end`.
pub(crate) fn intact_end(disk: &dyn Disk, dir: &Path, start: u64, end: u64) -> io::Result<u64> {
    let mut segments: Vec<u64> = disk
        .list(dir)?
        .iter()
        .filter_map(|entry| entry.name.strip_suffix(SUFFIX)?.parse().ok())
        .collect();
    segments.sort_unstable();
    // The segment that holds `start` is the last one that does not begin behind it.
    let first = segments.partition_point(|base| *base <= start).saturating_sub(1);
    let mut next: Option<u64> = None;
    for base in segments.into_iter().skip(first).take_while(|base| *base < end) {
        let path = dir.join(format!("{base:020}{SUFFIX}"));
        let length = disk.len(&path)?.unwrap_or(0) as usize;
        for batch in batch::batches(disk.file(path).read_at(0, length)?) {
            let Some(batch) = batch.ok().filter(|batch| batch.verify_crc().is_ok()) else {
                return Ok(next.unwrap_or(start));
            };
            let (base, after) = (batch.header.base_offset.0 as u64, batch.header.next_offset().0 as u64);
            // The first batch may lie below the start, but none is missing from there on.
            if next.map_or(base > start, |next| base != next) {
                return Ok(next.unwrap_or(start));
            }
            next = Some(after);
        }
    }
    Ok(next.unwrap_or(start).max(start))
}
