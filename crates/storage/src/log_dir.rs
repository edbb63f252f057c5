//! A log directory: its lock, its identity, the logs in it, and the checkpoints that tell how far each of them is known to be durable.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dohle_protocol::id::{BrokerId, Offset, PartitionIndex, TopicId, uuid_to_base64};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::checkpoint::{self, OffsetCheckpoint};
use crate::disk::{DirEntry, Disk, EntryKind};
use crate::file_name;
use crate::meta_properties::{MetaProperties, MetaPropertiesError};
use crate::partition_log::LogIdentity;
use crate::recovery::OpenState;

const LOCK: &str = ".lock";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const BROKER_EPOCH: &str = "brokerEpoch";
const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
const LOG_STARTS: &str = "log-start-offset-checkpoint";
const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
const CLEANED: &str = "cleaner-offset-checkpoint";
/// The metadata log lives in the directory, but belongs to the quorum.
const METADATA_LOG_DIR: &str = "__cluster_metadata-0";
const DELETE_SUFFIX: &str = "-delete";
const STRAY_SUFFIX: &str = "-stray";
/// Longest file name there is.
const NAME_BYTES_MAX: usize = 255;

/// An open log directory. The lock is held until this is dropped.
#[derive(Debug)]
pub struct LogDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    meta: MetaProperties,
    ended_epoch: Option<i64>,
    logs: Vec<FoundLog>,
    /// What the cleaner's checkpoint holds, as far as it is known: it changes seldom, and is written only then.
    cleaned: Mutex<Vec<u8>>,
    _lock: LockGuard,
}

/// A directory that no other process may use, before it is known to which cluster it belongs.
#[derive(Debug)]
pub struct LockedDir {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lock: LockGuard,
}

struct LockGuard(#[expect(dead_code, reason = "held for what happens when it is dropped")] Box<dyn Send + Sync>);

impl std::fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("locked")
    }
}

/// A log found in the directory, and how to open it.
#[derive(Debug, Clone)]
pub struct FoundLog {
    pub dir: PathBuf,
    /// The topic id is zero if `partition.metadata` is missing or damaged.
    pub identity: LogIdentity,
    pub open_state: OpenState,
    /// From the checkpoint; zero if unknown. May lie beyond the end of the log after a crash.
    pub high_watermark: Offset,
    /// Up to where the log has been cleaned.
    pub cleaned_to: Option<Offset>,
}

impl FoundLog {
    /// What the checkpoints record about it, to be recorded again.
    pub fn positions(&self) -> LogPositions {
        LogPositions {
            topic: Arc::clone(&self.identity.topic),
            partition: self.identity.partition,
            recovery_point: self.open_state.recovery_point,
            log_start: self.open_state.log_start.unwrap_or_default(),
            high_watermark: self.high_watermark,
            cleaned_to: self.cleaned_to,
        }
    }
}

/// What the checkpoints record about one log.
#[derive(Debug, Clone)]
pub struct LogPositions {
    pub topic: Arc<str>,
    pub partition: PartitionIndex,
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub cleaned_to: Option<Offset>,
}

/// Why a log directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogDirError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is in use by another process, which holds {LOCK}", path.display())]
    Locked { path: PathBuf },
    #[error(transparent)]
    Meta(#[from] MetaPropertiesError),
    #[error("{} holds logs but no meta.properties; restore the file, or run format on an empty directory", path.display())]
    MetaMissing { path: PathBuf },
    #[error("{} belongs to cluster {found}, not to {expected}", path.display())]
    ClusterId { path: PathBuf, found: String, expected: String },
    #[error("{} belongs to node {found}, not to {expected}. Set node.id={found}, or use another directory", path.display())]
    NodeId {
        path: PathBuf,
        found: BrokerId,
        expected: BrokerId,
    },
}

impl LogDir {
    /// Takes a directory into use, see [`LockedDir::open`].
    pub fn open(disk: Arc<dyn Disk>, path: &Path, cluster_id: &str, node_id: BrokerId) -> Result<LogDir, LogDirError> {
        LogDir::lock(disk, path)?.open(cluster_id, node_id)
    }

    /// Creates the directory if need be, and locks it.
    pub fn lock(disk: Arc<dyn Disk>, path: &Path) -> Result<LockedDir, LogDirError> {
        let path = path.to_owned();
        let failed = |source: io::Error| LogDirError::Io {
            path: path.clone(),
            source,
        };
        create_durably(&*disk, &path).map_err(failed)?;
        let lock = disk
            .lock(&path.join(LOCK))
            .map_err(failed)?
            .ok_or_else(|| LogDirError::Locked { path: path.clone() })?;
        let lock = LockGuard(lock);
        Ok(LockedDir { disk, path, lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    /// Whether the last user of the directory closed all logs. The marker that said so is gone: it holds for this start only.
    pub fn clean_shutdown(&self) -> bool {
        self.ended_epoch.is_some()
    }

    /// The epoch of the broker that did so; -1 if it did not say.
    pub fn ended_epoch(&self) -> Option<i64> {
        self.ended_epoch
    }

    /// The logs that were found when the directory was opened; empty when asked again.
    pub fn take_logs(&mut self) -> Vec<FoundLog> {
        std::mem::take(&mut self.logs)
    }

    /// Where the log of a partition is, or would be.
    pub fn partition_dir(&self, topic: &str, partition: PartitionIndex) -> PathBuf {
        self.path.join(format!("{topic}-{partition}"))
    }

    /// Replaces the checkpoints durably. Logs that are not named are forgotten: no clean shutdown counts for them.
    pub fn write_checkpoints(&self, logs: &[LogPositions]) -> io::Result<()> {
        let write = |name: &str, offset: fn(&LogPositions) -> Offset| {
            let text = checkpoint::encode_offsets(logs.iter().map(|log| (&*log.topic, log.partition, offset(log))));
            self.disk.replace(&self.path.join(name), &text)
        };
        write(RECOVERY_POINTS, |log| log.recovery_point)?;
        write(LOG_STARTS, |log| log.log_start)?;
        write(HIGH_WATERMARKS, |log| log.high_watermark)?;
        let cleaned: Vec<_> = logs
            .iter()
            .filter_map(|log| Some((&*log.topic, log.partition, log.cleaned_to?)))
            .collect();
        let text = checkpoint::encode_offsets(cleaned.into_iter());
        let mut written = self.cleaned.lock();
        if *written != text {
            self.disk.replace(&self.path.join(CLEANED), &text)?;
            *written = text;
        }
        Ok(())
    }

    /// Makes everything durable and says so with the marker. All logs have been closed before ([`crate::PartitionLog::close_clean`]).
    pub fn mark_clean_shutdown(&self, broker_epoch: i64) -> io::Result<()> {
        self.disk.sync_file_system(&self.path)?;
        let text = format!(r#"{{"version":0,"{BROKER_EPOCH}":{broker_epoch}}}"#);
        self.disk.replace(&self.path.join(CLEAN_SHUTDOWN), text.as_bytes())
    }

    /// Puts aside a log that no longer belongs here, for a person to look at.
    pub fn set_aside(&self, dir: &Path) -> io::Result<PathBuf> {
        let target = renamed(dir, STRAY_SUFFIX);
        self.disk.rename(dir, &target)?;
        Ok(target)
    }
}

impl LockedDir {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Compares the directory's identity or gives it one, and finds its logs. Directories marked for deletion are removed; what is none of
    /// ours stays untouched.
    pub fn open(self, cluster_id: &str, node_id: BrokerId) -> Result<LogDir, LogDirError> {
        self.open_beside(cluster_id, node_id, "")
    }

    /// The same, after the quorum has agreed on the cluster id: its own log may be there already.
    pub fn open_as_agreed(self, cluster_id: &str, node_id: BrokerId) -> Result<LogDir, LogDirError> {
        self.open_beside(cluster_id, node_id, METADATA_LOG_DIR)
    }

    fn open_beside(self, cluster_id: &str, node_id: BrokerId, not_counted: &str) -> Result<LogDir, LogDirError> {
        let LockedDir { disk, path, lock } = self;
        let failed = |source: io::Error| LogDirError::Io {
            path: path.clone(),
            source,
        };
        let entries = disk.list(&path).map_err(failed)?;
        let is_log = |entry: &&DirEntry| entry.kind == EntryKind::Directory && parse_log_dir(&entry.name).is_some();
        let holds_logs = entries.iter().filter(is_log).any(|entry| entry.name != not_counted);
        let meta = identify(&*disk, &path, holds_logs, cluster_id, node_id)?;
        let ended_epoch = take_clean_shutdown_marker(&*disk, &path).map_err(failed)?;
        let logs = find_logs(&*disk, &path, entries, ended_epoch.is_some());
        Ok(LogDir {
            disk,
            path,
            meta,
            ended_epoch,
            logs,
            cleaned: Mutex::default(),
            _lock: lock,
        })
    }
}

/// `topic-0` becomes `topic-0.<unique>-delete`, with the topic cut short if the name would be too long.
pub(crate) fn renamed_for_deletion(dir: &Path) -> PathBuf {
    renamed(dir, DELETE_SUFFIX)
}

fn renamed(dir: &Path, suffix: &str) -> PathBuf {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let unique = format!(".{}{suffix}", Uuid::new_v4().simple());
    let (topic, partition) = name.rsplit_once('-').unwrap_or((&name, "0"));
    let room = NAME_BYTES_MAX - unique.len() - partition.len() - 1;
    dir.with_file_name(format!("{}-{partition}{unique}", &topic[..topic.len().min(room)]))
}

/// Creates a directory such that a power cut does not take it away again, with all that is synced in it: every directory that has got a new
/// name in it is synced as well.
fn create_durably(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let missing = path
        .ancestors()
        .take_while(|dir| !dir.as_os_str().is_empty() && matches!(disk.len(dir), Ok(None)));
    let missing: Vec<&Path> = missing.collect();
    disk.create_dir(path)?;
    for parent in missing.into_iter().filter_map(Path::parent) {
        let is_relative = parent.as_os_str().is_empty();
        disk.sync_dir(if is_relative { Path::new(".") } else { parent })?;
    }
    Ok(())
}

/// The identity in the directory must be the expected one; an empty directory is given it.
fn identify(disk: &dyn Disk, path: &Path, holds_logs: bool, cluster_id: &str, node_id: BrokerId) -> Result<MetaProperties, LogDirError> {
    let Some(mut found) = MetaProperties::read(disk, path)? else {
        if holds_logs {
            return Err(LogDirError::MetaMissing { path: path.to_owned() });
        }
        let meta = MetaProperties {
            cluster_id: cluster_id.to_owned(),
            node_id,
            directory_id: Some(new_directory_id()),
        };
        meta.write(disk, path)?;
        return Ok(meta);
    };
    if found.cluster_id != cluster_id {
        return Err(LogDirError::ClusterId {
            path: path.to_owned(),
            found: found.cluster_id,
            expected: cluster_id.to_owned(),
        });
    }
    if found.node_id != node_id {
        return Err(LogDirError::NodeId {
            path: path.to_owned(),
            found: found.node_id,
            expected: node_id,
        });
    }
    if found.directory_id.is_none() {
        found.directory_id = Some(new_directory_id());
        found.write(disk, path)?;
    }
    Ok(found)
}

/// Random; never one of the small numbers that Kafka reserves, and never one whose text begins with a dash.
fn new_directory_id() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        if !uuid_to_base64(&id).starts_with('-') {
            return id;
        }
    }
}

/// The marker is removed, durably, before anything in the directory changes: it must not survive into the next crash.
fn take_clean_shutdown_marker(disk: &dyn Disk, path: &Path) -> io::Result<Option<i64>> {
    let marker = path.join(CLEAN_SHUTDOWN);
    let text = match disk.read(&marker) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    disk.remove_file(&marker)?;
    disk.sync_dir(path)?;
    Ok(Some(marked_epoch(&String::from_utf8_lossy(&text)).unwrap_or(-1)))
}

/// Of the JSON in the marker, the one value that counts; older releases leave the file empty.
fn marked_epoch(marker: &str) -> Option<i64> {
    let (_, value) = marker.split_once(BROKER_EPOCH)?;
    let value = value.trim_start_matches(['"', ':', ' ']);
    let end = value.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(value.len());
    value[..end].parse().ok()
}

fn find_logs(disk: &dyn Disk, path: &Path, entries: Vec<DirEntry>, clean_shutdown: bool) -> Vec<FoundLog> {
    let read = |name: &str| checkpoint::read_offsets(disk, &path.join(name));
    let (recovery_points, log_starts, high_watermarks) = (read(RECOVERY_POINTS), read(LOG_STARTS), read(HIGH_WATERMARKS));
    let cleaned = read(CLEANED);
    let mut logs = Vec::new();
    for entry in entries {
        let dir = path.join(&entry.name);
        if entry.kind == EntryKind::File || entry.name == METADATA_LOG_DIR {
            continue;
        }
        if entry.kind == EntryKind::Directory && entry.name.ends_with(DELETE_SUFFIX) && parse_renamed(&entry.name) {
            match disk.remove_dir(&dir) {
                Ok(()) => tracing::info!(dir = %dir.display(), "removed a log that was marked for deletion"),
                Err(error) => tracing::warn!(dir = %dir.display(), %error, "cannot remove a log that is marked for deletion"),
            }
            continue;
        }
        let Some((topic, partition)) = parse_log_dir(&entry.name).filter(|_| entry.kind == EntryKind::Directory) else {
            tracing::warn!(path = %dir.display(), "not a log; left alone");
            continue;
        };
        let topic_id = checkpoint::read_partition_metadata(disk, &dir.join(file_name::PARTITION_METADATA)).unwrap_or(TopicId::ZERO);
        let key = (topic.to_owned(), partition);
        let offset = |checkpoint: &OffsetCheckpoint| checkpoint.get(&key).copied();
        logs.push(FoundLog {
            dir,
            identity: LogIdentity {
                topic: topic.into(),
                partition,
                topic_id,
            },
            open_state: OpenState {
                // The checkpoint names all that were closed.
                clean_shutdown: clean_shutdown && recovery_points.contains_key(&key),
                recovery_point: offset(&recovery_points).unwrap_or_default(),
                log_start: offset(&log_starts),
            },
            high_watermark: offset(&high_watermarks).unwrap_or_default(),
            cleaned_to: offset(&cleaned),
        });
    }
    logs
}

/// Topic and partition in the name of a directory: `topic-0`, where the topic is a legal name.
fn parse_log_dir(name: &str) -> Option<(&str, PartitionIndex)> {
    let (topic, partition) = name.rsplit_once('-')?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let number = !partition.is_empty() && partition.bytes().all(|b| b.is_ascii_digit());
    if topic.is_empty() || topic == "." || topic == ".." || !topic.bytes().all(legal) || !number {
        return None;
    }
    Some((topic, PartitionIndex(partition.parse().ok()?)))
}

/// `topic-0.<32 hex digits>-suffix`
fn parse_renamed(name: &str) -> bool {
    let without_suffix = name.rsplit_once('-').map_or("", |(rest, _)| rest);
    without_suffix
        .rsplit_once('.')
        .is_some_and(|(log, unique)| unique.len() == 32 && unique.bytes().all(|b| b.is_ascii_hexdigit()) && log.rsplit_once('-').is_some())
}

#[cfg(test)]
mod tests;
