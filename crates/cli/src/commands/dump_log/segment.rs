//! Segments: a line per batch, and on demand a line per record.

use std::io::{self, Write};
use std::path::Path;

use dohle_protocol::batch::{BatchHeader, NO_SEQUENCE, RecordBatch, TimestampType, increment_sequence, verify_crc};
use dohle_protocol::control_record::{ControlKind, EndTxnMarker};
use dohle_protocol::record::{DecodeLimits, Record};

use super::batch_file::BatchFile;
use super::findings::{Findings, note};
use super::{DumpArgs, base_offset};
use crate::limits::DUMPED_BATCH_BYTES_MAX;
use crate::progress::bytes_bar;

pub(super) fn dump(path: &Path, args: &DumpArgs, findings: &mut Findings, out: &mut impl Write) -> anyhow::Result<()> {
    if path.extension().is_some_and(|extension| extension == "log") {
        writeln!(out, "Log starting offset: {}", base_offset(path)?)?;
    } else if let Some((offset, epoch)) = snapshot_id(path) {
        writeln!(out, "Snapshot end offset: {offset}, epoch: {epoch}")?;
    }
    let file = BatchFile::open(path)?;
    let progress = bytes_bar("reading", file.length);
    let records = args.deep_iteration || args.print_data_log;
    let mut position = 0;
    let mut last_offset = None;
    while let Some(header) = file.header_at(position, args.max_bytes)? {
        let batch = file.batch_at(position, header)?;
        writeln!(out, "{} position: {position} {}", batch_start(&header), batch_end(&batch))?;
        if records {
            dump_records(&batch, args, &mut last_offset, path, findings, out)?;
        }
        position += header.size_in_bytes() as u64;
        progress.set_position(position);
    }
    progress.finish_and_clear();
    if position < file.length && args.max_bytes >= file.length {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "Found {} invalid bytes at the end of {name}", file.length - position)?;
    }
    Ok(())
}

/// `00000000000000000123-0000000001.checkpoint`: offset and epoch.
fn snapshot_id(path: &Path) -> Option<(i64, i32)> {
    let (offset, epoch) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((offset.parse().ok()?, epoch.parse().ok()?))
}

fn batch_start(header: &BatchHeader) -> String {
    let horizon = header
        .delete_horizon()
        .map_or_else(|| "OptionalLong.empty".to_owned(), |ms| format!("OptionalLong[{ms}]"));
    format!(
        "baseOffset: {} lastOffset: {} count: {} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
         partitionLeaderEpoch: {} isTransactional: {} isControl: {} deleteHorizonMs: {horizon}",
        header.base_offset,
        header.last_offset(),
        header.record_count,
        header.base_sequence,
        header.last_sequence(),
        header.producer_id,
        header.producer_epoch,
        header.partition_leader_epoch,
        header.is_transactional(),
        header.is_control(),
    )
}

fn batch_end(batch: &RecordBatch) -> String {
    let header = &batch.header;
    let codec = header.compression().map_or("unknown", |codec| codec.name());
    format!(
        "{}: {} size: {} magic: {} compresscodec: {codec} crc: {} isvalid: {}",
        type_name(header),
        header.max_timestamp,
        header.size_in_bytes(),
        header.magic,
        header.crc,
        verify_crc(&batch.bytes).is_ok(),
    )
}

fn type_name(header: &BatchHeader) -> &'static str {
    match header.timestamp_type() {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn dump_records(
    batch: &RecordBatch,
    args: &DumpArgs,
    last_offset: &mut Option<i64>,
    path: &Path,
    findings: &mut Findings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let records = batch.records(DecodeLimits {
        decompressed_bytes_max: DUMPED_BATCH_BYTES_MAX,
    });
    let records = match records {
        Ok(records) => records,
        Err(error) => {
            writeln!(out, "| records cannot be read: {error}")?;
            return Ok(());
        }
    };
    for record in records {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                writeln!(out, "| record cannot be read: {error}")?;
                break;
            }
        };
        let offset = record.offset.0;
        if let Some(last) = last_offset.replace(offset).filter(|last| offset != last + 1) {
            note(&mut findings.gaps, path, (last, offset));
        }
        write_record(&batch.header, &record, args, out)?;
    }
    Ok(())
}

fn write_record(header: &BatchHeader, record: &Record, args: &DumpArgs, out: &mut impl Write) -> io::Result<()> {
    let mut prefix = "| ";
    if !args.skip_record_metadata {
        write!(out, "{prefix}{}", metadata(header, record))?;
        prefix = " ";
    }
    if args.print_data_log && !header.is_control() {
        if let Some(key) = &record.key {
            write!(out, "{prefix}key: ")?;
            out.write_all(key)?;
        }
        if let Some(value) = &record.value {
            write!(out, " payload: ")?;
            out.write_all(value)?;
        }
    }
    writeln!(out)
}

fn metadata(header: &BatchHeader, record: &Record) -> String {
    let size = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64);
    let delta = record.offset - header.base_offset;
    let sequence = match header.base_sequence {
        NO_SEQUENCE => NO_SEQUENCE,
        base => increment_sequence(base, i32::try_from(delta).unwrap_or(0)),
    };
    let keys: Vec<_> = record.headers.iter().map(|header| String::from_utf8_lossy(&header.key)).collect();
    let control = if header.is_control() {
        describe_control(record)
    } else {
        String::new()
    };
    format!(
        "offset: {} {}: {} keySize: {} valueSize: {} sequence: {sequence} headerKeys: [{}]{control}",
        record.offset,
        type_name(header),
        record.timestamp,
        size(&record.key),
        size(&record.value),
        keys.join(","),
    )
}

fn describe_control(record: &Record) -> String {
    if let Ok(Some(marker)) = EndTxnMarker::from_record(record) {
        let name = if marker.committed { "COMMIT" } else { "ABORT" };
        return format!(" endTxnMarker: {name} coordinatorEpoch: {}", marker.coordinator_epoch);
    }
    let (name, number) = match ControlKind::from_key(record.key.as_deref().unwrap_or_default()) {
        Ok(ControlKind::Abort) => ("ABORT", 0),
        Ok(ControlKind::Commit) => ("COMMIT", 1),
        Ok(ControlKind::LeaderChange) => ("LEADER_CHANGE", 2),
        Ok(ControlKind::SnapshotHeader) => ("SNAPSHOT_HEADER", 3),
        Ok(ControlKind::SnapshotFooter) => ("SNAPSHOT_FOOTER", 4),
        Ok(ControlKind::KraftVersion) => ("KRAFT_VERSION", 5),
        Ok(ControlKind::KraftVoters) => ("KRAFT_VOTERS", 6),
        Ok(ControlKind::Unknown(number)) => ("UNKNOWN", number),
        Err(_) => ("UNKNOWN", -1),
    };
    format!(" controlType: {name}({number})")
}
