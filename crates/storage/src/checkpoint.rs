//! The small text files of a log directory and of a partition: a version, a count, and one entry per line; and `partition.metadata`.
//!
//! A file that is missing or makes no sense is reported and treated as absent: everything in them can be found in the logs again.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::path::Path;

use dohle_protocol::id::{Offset, PartitionIndex, TopicId, uuid_from_base64};

use crate::disk::Disk;

/// Offset per partition, as in `recovery-point-offset-checkpoint` and its siblings.
pub type OffsetCheckpoint = BTreeMap<(String, PartitionIndex), Offset>;

/// Text of a checkpoint of offsets.
pub(crate) fn encode_offsets<'a>(entries: impl ExactSizeIterator<Item = (&'a str, PartitionIndex, Offset)>) -> Vec<u8> {
    let mut text = format!("0\n{}\n", entries.len());
    for (topic, partition, offset) in entries {
        writeln!(text, "{topic} {partition} {offset}").expect("a string takes any text");
    }
    text.into_bytes()
}

/// Reads a checkpoint of offsets.
pub fn read_offsets(disk: &dyn Disk, path: &Path) -> OffsetCheckpoint {
    let bytes = match disk.read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return OffsetCheckpoint::new(),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a checkpoint cannot be read; going on without it");
            return OffsetCheckpoint::new();
        }
    };
    // A file that was just created has nothing in it.
    if bytes.is_empty() {
        return OffsetCheckpoint::new();
    }
    std::str::from_utf8(&bytes).ok().and_then(parse_offsets).unwrap_or_else(|| {
        tracing::warn!(path = %path.display(), "a checkpoint is damaged; going on without it");
        OffsetCheckpoint::new()
    })
}

fn parse_offsets(text: &str) -> Option<OffsetCheckpoint> {
    let mut lines = text.lines();
    if lines.next()?.trim() != "0" {
        return None;
    }
    let count: usize = lines.next()?.trim().parse().ok()?;
    let entries = lines.map(parse_offset).collect::<Option<Vec<_>>>()?;
    (entries.len() == count).then(|| entries.into_iter().collect())
}

fn parse_offset(line: &str) -> Option<((String, PartitionIndex), Offset)> {
    let mut fields = line.split_whitespace();
    let (topic, partition, offset) = (fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    (fields.next().is_none() && offset >= 0).then(|| ((topic.to_owned(), PartitionIndex(partition)), Offset(offset)))
}

/// Text of `partition.metadata`.
pub(crate) fn encode_partition_metadata(topic_id: TopicId) -> Vec<u8> {
    format!("version: 0\ntopic_id: {topic_id}").into_bytes()
}

/// The topic id in `partition.metadata`; `None` if the file is missing or damaged.
pub fn read_partition_metadata(disk: &dyn Disk, path: &Path) -> Option<TopicId> {
    let bytes = disk.read(path).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version:")?;
    let topic_id = lines.next()?.strip_prefix("topic_id:")?;
    if version.trim() != "0" {
        return None;
    }
    uuid_from_base64(topic_id.trim()).map(TopicId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::FaultyDisk;

    fn disk_with(content: &[u8]) -> FaultyDisk {
        let disk = FaultyDisk::new();
        disk.create_dir(Path::new("d")).unwrap();
        disk.write(Path::new("d/file"), content).unwrap();
        disk
    }

    #[test]
    fn offsets_are_written_as_kafka_writes_them() {
        let entries = [("a", PartitionIndex(0), Offset(5)), ("b.c", PartitionIndex(12), Offset(0))];
        let text = encode_offsets(entries.into_iter());
        assert_eq!(text, b"0\n2\na 0 5\nb.c 12 0\n");
        let read = read_offsets(&disk_with(&text), Path::new("d/file"));
        assert_eq!(read.get(&("b.c".into(), PartitionIndex(12))), Some(&Offset(0)));
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn d4_a_damaged_checkpoint_counts_as_none() {
        let damaged: [&[u8]; 8] = [
            b"",
            b"1\n0\n",
            b"0\n2\na 0 5\n",
            b"0\n1\na 0 -5\n",
            b"0\n1\na 0\n",
            b"\xff\xfe\x00",
            b"0\nx\n",
            b"0\n1\na 0 99999999999999999999\n",
        ];
        for text in damaged {
            assert_eq!(
                read_offsets(&disk_with(text), Path::new("d/file")),
                OffsetCheckpoint::new(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn partition_metadata_carries_the_topic_id() {
        let id = TopicId(uuid::Uuid::from_u128(7));
        let text = encode_partition_metadata(id);
        assert_eq!(text, b"version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAABw");
        assert_eq!(read_partition_metadata(&disk_with(&text), Path::new("d/file")), Some(id));
        assert_eq!(
            read_partition_metadata(&disk_with(b"version: 9\ntopic_id: AAAAAAAAAAAAAAAAAAAABw"), Path::new("d/file")),
            None
        );
    }
}
