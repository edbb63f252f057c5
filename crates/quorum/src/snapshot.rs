//! Snapshots: what the image was at one entry, as a file `<end offset>-<epoch>.checkpoint` of record batches beside the log.
//!
//! The first record says which entry the snapshot is of and who voted then, the last one how many records lie between. A file is written
//! under another name, synced and renamed, so one that has its name is whole; a damaged one is passed over only if the log still has
//! everything after the one before.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use dohle_metadata::image::ClusterImage;
use dohle_metadata::record::MetadataRecord;
use dohle_protocol::Message;
use dohle_protocol::batch;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::id::{LeaderEpoch, Offset};
use dohle_protocol::record::DecodeLimits;
use dohle_protocol::wire::TaggedFields;
use dohle_storage::{Disk, disk::EntryKind};

use crate::entry_codec::{EntryCodecError, MembershipValue, damaged, framed, unframed};
use crate::facts::apply_all;
use crate::limits;
use crate::rpc::values::{LogIdValue, optional};
use crate::runtime::{Runtime, blocking};
use crate::start_error::StartError;
use crate::type_config::{LogId, Membership, SnapshotMeta, StoredMembership};

const SUFFIX: &str = ".checkpoint";
const HEADER: u8 = 16;
const FOOTER: u8 = 17;

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
struct HeaderValue {
    last: LogIdValue,
    membership_at: Option<LogIdValue>,
    membership: MembershipValue,
    unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
struct FooterValue {
    record_count: i64,
    unknown_tagged_fields: TaggedFields,
}

/// The bytes of a snapshot file.
pub(crate) fn encode(last: LogId, membership: &StoredMembership, image: &ClusterImage, now_ms: i64) -> Result<Bytes, EntryCodecError> {
    let mut writer = BatchWriter {
        epoch: LeaderEpoch(last.leader_id.term as i32),
        now_ms,
        next: 0,
        out: BytesMut::new(),
    };
    let header = HeaderValue {
        last: last.into(),
        membership_at: membership.log_id().map(LogIdValue::from),
        membership: membership.membership().into(),
        ..HeaderValue::default()
    };
    writer.batch([framed(HEADER, &header)?]);
    let records = image.to_records();
    for chunk in records.chunks(limits::SNAPSHOT_RECORDS_PER_BATCH) {
        let values: Vec<Bytes> = chunk
            .iter()
            .map(|record| record.encode().map_err(damaged))
            .collect::<Result<_, _>>()?;
        writer.batch(values);
    }
    writer.batch([framed(
        FOOTER,
        &FooterValue {
            record_count: records.len() as i64,
            ..FooterValue::default()
        },
    )?]);
    Ok(writer.out.freeze())
}

struct BatchWriter {
    epoch: LeaderEpoch,
    now_ms: i64,
    next: i64,
    out: BytesMut,
}

impl BatchWriter {
    fn batch(&mut self, values: impl IntoIterator<Item = Bytes>) {
        let mut builder = RecordBatchBuilder::new().base_offset(Offset(self.next)).leader_epoch(self.epoch);
        for value in values {
            builder.append(self.now_ms, None, Some(&value), &[]);
        }
        self.next += builder.record_count() as i64;
        self.out.put_slice(&builder.build());
    }
}

/// The opposite of [`encode`]; refuses whatever is not whole.
pub(crate) fn decode(content: &Bytes) -> Result<(SnapshotMeta, ClusterImage), EntryCodecError> {
    let mut values = Vec::new();
    for batch in batch::batches(content.clone()) {
        let batch = batch.map_err(damaged)?;
        batch.verify_crc().map_err(damaged)?;
        for record in batch
            .records(DecodeLimits {
                decompressed_bytes_max: limits::BATCH_RECORD_BYTES_MAX,
            })
            .map_err(damaged)?
        {
            values.push(record.map_err(damaged)?.value.unwrap_or_default());
        }
    }
    let [header, records @ .., footer] = values.as_slice() else {
        return Err(damaged("no header and footer"));
    };
    let header: HeaderValue = unframed(HEADER, header)?;
    let footer: FooterValue = unframed(FOOTER, footer)?;
    if footer.record_count != records.len() as i64 {
        return Err(damaged(format!("{} records instead of {}", records.len(), footer.record_count)));
    }
    let records: Vec<MetadataRecord> = records
        .iter()
        .map(|record| MetadataRecord::decode(record).map_err(damaged))
        .collect::<Result<_, _>>()?;
    let mut image = ClusterImage::default();
    if !apply_all(&mut image, &records) {
        return Err(damaged("its records contradict each other"));
    }
    let membership = StoredMembership::new(optional(header.membership_at)?, Membership::try_from(header.membership)?);
    Ok((
        SnapshotMeta {
            last_log_id: Some(header.last.try_into()?),
            last_membership: membership,
        },
        image,
    ))
}

/// The same without holding up anybody else: a snapshot may have hundreds of megabytes.
pub(crate) async fn decoded<R: Runtime>(content: Bytes) -> io::Result<(SnapshotMeta, ClusterImage)> {
    blocking::<R, _>(move || decode(&content).map_err(io::Error::other)).await
}

/// The snapshot files of one directory.
#[derive(Debug)]
pub(crate) struct SnapshotFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl SnapshotFiles {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> SnapshotFiles {
        SnapshotFiles { disk, dir: dir.to_owned() }
    }

    /// The newest snapshot that is whole and joins the log, which has lost everything up to `purged`. `None` if none is needed.
    pub(crate) fn load(&self, purged: Option<LogId>) -> Result<Option<(SnapshotMeta, ClusterImage)>, StartError> {
        let mut reason = "there is none".to_owned();
        for name in self
            .names()
            .map_err(|source| StartError::Disk {
                path: self.dir.clone(),
                source,
            })?
            .into_iter()
            .rev()
        {
            let path = self.dir.join(&name);
            let loaded = self.read(&name).map_err(damaged).and_then(|content| decode(&content));
            match loaded {
                Ok((meta, image)) if meta.last_log_id >= purged => return Ok(Some((meta, image))),
                Ok(_) => reason = format!("{name} is older than that"),
                Err(error) => {
                    tracing::error!("snapshot {} is damaged: {error}", path.display());
                    reason = format!("{name} is damaged: {error}");
                }
            }
        }
        match purged {
            None => Ok(None),
            Some(purged) => Err(StartError::SnapshotMissing {
                dir: self.dir.clone(),
                log_start: purged.index + 1,
                reason,
            }),
        }
    }

    /// The content of the snapshot of `last`, which was loaded or stored before.
    pub(crate) fn read_of(&self, last: LogId) -> io::Result<Bytes> {
        self.read(&file_name(last))
    }

    /// The length of that file, and up to `bytes_max` bytes from `position` on.
    pub(crate) fn read_part(&self, last: LogId, position: u64, bytes_max: usize) -> io::Result<(u64, Bytes)> {
        let path = self.dir.join(file_name(last));
        let length = self.disk.len(&path)?.ok_or(io::ErrorKind::NotFound)?;
        let bytes = length.saturating_sub(position).min(bytes_max as u64);
        Ok((length, self.disk.file(path).read_at(position, bytes as usize)?))
    }

    fn read(&self, name: &str) -> io::Result<Bytes> {
        let path = self.dir.join(name);
        let length = self.disk.len(&path)?.ok_or(io::ErrorKind::NotFound)?;
        self.disk.file(path).read_at(0, length as usize)
    }

    /// Durable under its name when this returns; then all but the newest `kept` files are removed.
    pub(crate) fn store(&self, last: LogId, content: &[u8], kept: usize) -> io::Result<()> {
        self.disk.replace(&self.dir.join(file_name(last)), content)?;
        let names = self.names()?;
        for name in &names[..names.len().saturating_sub(kept)] {
            self.disk.remove_file(&self.dir.join(name))?;
        }
        Ok(())
    }

    /// Oldest first: the numbers in the names have a fixed width.
    fn names(&self) -> io::Result<Vec<String>> {
        let files = self.disk.list(&self.dir)?.into_iter().filter(|entry| entry.kind == EntryKind::File);
        let mut names: Vec<String> = files.map(|entry| entry.name).filter(|name| name.ends_with(SUFFIX)).collect();
        names.sort();
        Ok(names)
    }
}

fn file_name(last: LogId) -> String {
    format!("{:020}-{:010}{SUFFIX}", last.index + 1, last.leader_id.term)
}

#[cfg(test)]
mod tests {
    use dohle_metadata::record::{ClusterRecord, RemoveTopicRecord};
    use dohle_storage::FaultyDisk;

    use super::*;
    use crate::type_config::{NodeId, log_id};

    fn image() -> ClusterImage {
        let cluster = ClusterRecord {
            cluster_id: "blue".to_owned(),
            ..Default::default()
        };
        ClusterImage::from_records(&[cluster.into()])
    }

    fn membership() -> StoredMembership {
        let membership = Membership::new_with_defaults(vec![[1 as NodeId].into()], []);
        StoredMembership::new(Some(log_id(0, 0)), membership)
    }

    #[test]
    fn a_snapshot_is_read_as_it_was_written() {
        let content = encode(log_id(3, 41), &membership(), &image(), 0).unwrap();
        let (meta, read) = decode(&content).unwrap();
        assert_eq!((meta.last_log_id, meta.last_membership), (Some(log_id(3, 41)), membership()));
        assert_eq!(read, image());
    }

    #[test]
    fn a_snapshot_that_is_not_whole_is_refused() {
        let content = encode(log_id(3, 41), &membership(), &image(), 0).unwrap();
        let batches: Vec<Bytes> = batch::batches(content.clone()).map(|batch| batch.unwrap().bytes).collect();
        assert_eq!(batches.len(), 3);
        for missing in 0..batches.len() {
            let rest: Vec<&[u8]> = batches
                .iter()
                .enumerate()
                .filter(|(at, _)| *at != missing)
                .map(|(_, bytes)| bytes.as_ref())
                .collect();
            assert!(decode(&rest.concat().into()).is_err(), "without batch {missing}");
        }
        for position in 0..content.len() {
            assert!(decode(&content.slice(..position)).is_err(), "cut at {position}");
        }
    }

    #[test]
    fn a_snapshot_that_contradicts_itself_is_refused() {
        let topic = RemoveTopicRecord::default();
        let batches = |values: &[Bytes]| {
            let mut writer = BatchWriter {
                epoch: LeaderEpoch(3),
                now_ms: 0,
                next: 0,
                out: BytesMut::new(),
            };
            writer.batch(values.iter().cloned());
            writer.out.freeze()
        };
        let good = encode(log_id(3, 41), &membership(), &ClusterImage::default(), 0).unwrap();
        let ends: Vec<Bytes> = batch::batches(good).map(|batch| batch.unwrap().bytes).collect();
        let footer = FooterValue {
            record_count: 1,
            ..FooterValue::default()
        };
        let impossible = batches(&[MetadataRecord::from(topic).encode().unwrap(), framed(FOOTER, &footer).unwrap()]);
        let error = decode(&[&ends[0][..], &impossible].concat().into()).unwrap_err();
        assert!(error.to_string().contains("contradict"), "{error}");
    }

    #[test]
    fn a_snapshot_from_before_the_beginning_of_the_log_is_of_no_use() {
        let disk = FaultyDisk::new();
        disk.create_dir(Path::new("dir")).unwrap();
        let files = SnapshotFiles::new(Arc::new(disk), Path::new("dir"));
        assert!(files.load(None).unwrap().is_none());
        let content = encode(log_id(3, 41), &membership(), &image(), 0).unwrap();
        files.store(log_id(3, 41), &content, 2).unwrap();
        assert!(files.load(Some(log_id(3, 41))).unwrap().is_some());
        assert!(matches!(
            files.load(Some(log_id(3, 42))),
            Err(StartError::SnapshotMissing { log_start: 43, .. })
        ));
    }
}
