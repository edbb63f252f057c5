//! Indexes and producer snapshots: a line per entry, compared with the log beside them.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use dohle_protocol::id::Offset;
use dohle_protocol::record::DecodeLimits;
use dohle_storage::{producer_snapshot, txn_index};

use super::batch_file::BatchFile;
use super::findings::{Findings, note};
use super::{DumpArgs, base_offset, log_beside};
use crate::limits::DUMPED_BATCH_BYTES_MAX;

/// Offset relative to the segment's, position.
const OFFSET_ENTRY_BYTES: usize = 8;
/// Timestamp, relative offset.
const TIME_ENTRY_BYTES: usize = 12;

struct OffsetEntry {
    offset: i64,
    position: u64,
}

struct TimeEntry {
    timestamp: i64,
    offset: i64,
}

pub(super) fn dump_offset_index(path: &Path, args: &DumpArgs, findings: &mut Findings, out: &mut impl Write) -> anyhow::Result<()> {
    let bytes = read(path)?;
    let entries = offset_entries(&bytes, base_offset(path)?);
    if entries.is_empty() {
        writeln!(out, "{} is empty.", path.display())?;
        return Ok(());
    }
    if args.index_sanity_check {
        let last = entries.last().map(|entry| entry.offset);
        return check_sanity(path, bytes.len(), OFFSET_ENTRY_BYTES, last, out);
    }
    let log = BatchFile::open(&log_beside(path))?;
    for entry in entries {
        let found = log.header_at(entry.position, u64::MAX)?.map_or(-1, |header| header.last_offset().0);
        if found != entry.offset {
            note(&mut findings.index_mismatches, path, (entry.offset, found));
        }
        if !args.verify_index_only {
            writeln!(out, "offset: {} position: {}", entry.offset, entry.position)?;
        }
    }
    Ok(())
}

pub(super) fn dump_time_index(path: &Path, args: &DumpArgs, findings: &mut Findings, out: &mut impl Write) -> anyhow::Result<()> {
    let base = base_offset(path)?;
    let bytes = read(path)?;
    let entries = time_entries(&bytes, base);
    if args.index_sanity_check {
        let last = entries.last().map(|entry| entry.offset);
        return check_sanity(path, bytes.len(), TIME_ENTRY_BYTES, last, out);
    }
    let log = BatchFile::open(&log_beside(path))?;
    // Without its offset index the log is read from its start.
    let offsets = read(&path.with_extension("index"))
        .map(|bytes| offset_entries(&bytes, base))
        .unwrap_or_default();
    let mut last_timestamp = -1;
    for entry in entries {
        let near = offsets.partition_point(|known| known.offset <= entry.offset);
        let start = near.checked_sub(1).map_or(0, |index| offsets[index].position);
        compare_time(path, &log, start, &entry, findings)?;
        if last_timestamp >= entry.timestamp {
            note(&mut findings.times_out_of_order, path, (entry.timestamp, last_timestamp));
        }
        last_timestamp = entry.timestamp;
        if !args.verify_index_only {
            writeln!(out, "timestamp: {} offset: {}", entry.timestamp, entry.offset)?;
        }
    }
    Ok(())
}

/// The batch that ends at the entry's offset must have the entry's timestamp as its largest.
fn compare_time(path: &Path, log: &BatchFile, mut position: u64, entry: &TimeEntry, findings: &mut Findings) -> anyhow::Result<()> {
    while let Some(header) = log.header_at(position, u64::MAX)? {
        if header.last_offset().0 < entry.offset {
            position += header.size_in_bytes() as u64;
            continue;
        }
        if header.last_offset().0 != entry.offset {
            note(&mut findings.times_not_found, path, (entry.offset, header.last_offset().0));
            return Ok(());
        }
        let limits = DecodeLimits {
            decompressed_bytes_max: DUMPED_BATCH_BYTES_MAX,
        };
        let records = log.batch_at(position, header)?.records(limits);
        let largest = records
            .ok()
            .and_then(|records| records.flatten().map(|record| record.timestamp).max())
            .unwrap_or(-1);
        if largest != entry.timestamp {
            note(&mut findings.time_mismatches, path, (entry.timestamp, largest));
        }
        return Ok(());
    }
    note(&mut findings.times_not_found, path, (entry.offset, -1));
    Ok(())
}

pub(super) fn dump_txn_index(path: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    for txn in txn_index::decode(&read(path)?, Offset(base_offset(path)?))? {
        writeln!(
            out,
            "version: 0 producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            txn.producer_id, txn.first_offset, txn.last_offset, txn.last_stable_offset
        )?;
    }
    Ok(())
}

pub(super) fn dump_producer_snapshot(path: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let entries = match producer_snapshot::decode(&read(path)?) {
        Ok(entries) => entries,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return Ok(());
        }
    };
    for entry in entries {
        let open = entry
            .txn_first_offset
            .map_or_else(|| "OptionalLong.empty".to_owned(), |offset| format!("OptionalLong[{offset}]"));
        write!(
            out,
            "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {open} lastTimestamp: {} ",
            entry.producer_id, entry.epoch, entry.coordinator_epoch, entry.last_timestamp
        )?;
        if entry.last_sequence >= 0 {
            let first = dohle_protocol::batch::decrement_sequence(entry.last_sequence, entry.offset_delta);
            write!(
                out,
                "firstSequence: {first} lastSequence: {} lastOffset: {} offsetDelta: {} timestamp: {}",
                entry.last_sequence, entry.last_offset, entry.offset_delta, entry.last_timestamp
            )?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// A file may end in zeros that were allocated ahead; they look like an entry for the segment's first offset.
fn offset_entries(bytes: &[u8], base: i64) -> Vec<OffsetEntry> {
    let (entries, _) = bytes.as_chunks::<OFFSET_ENTRY_BYTES>();
    let entries = entries.iter().map(|[a, b, c, d, position @ ..]| OffsetEntry {
        offset: base + i64::from(u32::from_be_bytes([*a, *b, *c, *d])),
        position: u64::from(u32::from_be_bytes(*position)),
    });
    entries
        .enumerate()
        .take_while(|(index, entry)| *index == 0 || entry.offset != base)
        .map(|(_, entry)| entry)
        .collect()
}

fn time_entries(bytes: &[u8], base: i64) -> Vec<TimeEntry> {
    let (entries, _) = bytes.as_chunks::<TIME_ENTRY_BYTES>();
    let entries = entries.iter().map(|[timestamp @ .., a, b, c, d]| TimeEntry {
        timestamp: i64::from_be_bytes(*timestamp),
        offset: base + i64::from(u32::from_be_bytes([*a, *b, *c, *d])),
    });
    entries
        .enumerate()
        .take_while(|(index, entry)| *index == 0 || entry.offset != base)
        .map(|(_, entry)| entry)
        .collect()
}

fn check_sanity(path: &Path, bytes: usize, entry_bytes: usize, last: Option<i64>, out: &mut impl Write) -> anyhow::Result<()> {
    let base = base_offset(path)?;
    anyhow::ensure!(
        bytes.is_multiple_of(entry_bytes),
        "{} has {bytes} bytes, no multiple of {entry_bytes}",
        path.display()
    );
    anyhow::ensure!(
        last.is_none_or(|last| last >= base),
        "{} ends with an offset below the segment's first offset {base}",
        path.display()
    );
    writeln!(out, "{} passed sanity check.", path.display())?;
    Ok(())
}
