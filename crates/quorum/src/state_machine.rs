//! openraft's state machine: the facts that it commits, and the snapshots of them on disk.
//!
//! The image is in memory only; a start rebuilds it from the last snapshot and the log behind it.

use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dohle_metadata::image::ClusterImage;
use dohle_storage::Disk;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{BasicNode, EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;

use crate::facts::Facts;
use crate::limits;
use crate::publisher::Publisher;
use crate::runtime::{Runtime, blocking};
use crate::snapshot::{self, SnapshotFiles};
use crate::start_error::StartError;
use crate::type_config::{CommittedLeader, LogId, NodeId, SnapshotMeta, StoredMembership, TypeConfig};

/// A snapshot as openraft passes it around: its file as bytes.
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeader, NodeId, BasicNode, Bytes>;

#[derive(Debug)]
pub(crate) struct StateMachine {
    facts: Facts,
    snapshots: Arc<Snapshots>,
}

/// What the state machine shares with a snapshot that is being built.
#[derive(Debug)]
struct Snapshots {
    files: SnapshotFiles,
    current: Mutex<Option<SnapshotMeta>>,
    records_since: AtomicU64,
}

/// What others see of the state machine, which itself belongs to openraft.
#[derive(Debug, Clone)]
pub(crate) struct Observer {
    pub(crate) publisher: Arc<Publisher>,
    snapshots: Arc<Snapshots>,
}

impl Observer {
    /// Entries alone do not bound the log, because one entry may have thousands of records.
    pub(crate) fn snapshot_is_due(&self) -> bool {
        self.snapshots.records_since.load(Ordering::Relaxed) >= limits::SNAPSHOT_AFTER_RECORDS
    }

    /// A part of the current snapshot file, for an observer: of which entry it is, how long it is, and what it has at `position`. The
    /// beginning if the file is not the one of `begun`.
    pub(crate) fn read_snapshot(&self, begun: Option<LogId>, position: u64) -> io::Result<Option<(LogId, u64, u64, Bytes)>> {
        let Some(last) = self.snapshots.current.lock().as_ref().and_then(|meta| meta.last_log_id) else {
            return Ok(None);
        };
        let position = if begun == Some(last) { position } else { 0 };
        let (length, content) = self.snapshots.files.read_part(last, position, limits::SNAPSHOT_CHUNK_BYTES)?;
        Ok(Some((last, length, position, content)))
    }
}

impl StateMachine {
    /// Loads the newest snapshot; `purged` is the last entry that the log no longer has.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, purged: Option<LogId>) -> Result<StateMachine, StartError> {
        let files = SnapshotFiles::new(Arc::clone(disk), dir);
        let (current, image) = files.load(purged)?.unzip();
        let facts = Facts::new(current.clone().unwrap_or_default(), image.unwrap_or_default());
        let snapshots = Snapshots {
            files,
            current: Mutex::new(current),
            records_since: AtomicU64::new(0),
        };
        Ok(StateMachine {
            facts,
            snapshots: Arc::new(snapshots),
        })
    }

    /// The snapshot that was loaded.
    pub(crate) fn snapshot_meta(&self) -> Option<SnapshotMeta> {
        self.snapshots.current.lock().clone()
    }

    pub(crate) fn observer(&self) -> Observer {
        Observer {
            publisher: Arc::clone(&self.facts.publisher),
            snapshots: Arc::clone(&self.snapshots),
        }
    }
}

impl<R: Runtime> RaftStateMachine<TypeConfig<R>> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder<R>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.facts.applied, self.facts.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig<R>>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            if let EntryPayload::Normal(proposal) = &entry.payload {
                self.snapshots
                    .records_since
                    .fetch_add(proposal.records.len() as u64, Ordering::Relaxed);
            }
            let applied = self.facts.apply(entry.log_id, &entry.payload).await?;
            if let Some(responder) = responder {
                responder.send(applied);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder<R> {
        Builder {
            image: Arc::clone(&self.facts.image),
            applied: self.facts.applied,
            membership: self.facts.membership.clone(),
            snapshots: Arc::clone(&self.snapshots),
            _runtime: PhantomData,
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, content: Bytes) -> io::Result<()> {
        let last = meta.last_log_id.ok_or_else(|| io::Error::other("a snapshot of nothing"))?;
        let (found, image) = snapshot::decoded::<R>(content.clone()).await?;
        if found != *meta {
            return Err(io::Error::other(format!("the snapshot is of {found}, not of {meta}")));
        }
        let snapshots = Arc::clone(&self.snapshots);
        blocking::<R, _>(move || snapshots.files.store(last, &content, 1)).await?;
        *self.snapshots.current.lock() = Some(meta.clone());
        self.snapshots.records_since.store(0, Ordering::Relaxed);
        self.facts.replace(meta, image).await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let current = self.snapshots.current.lock().clone();
        let Some((meta, last)) = current.and_then(|meta| meta.last_log_id.map(|last| (meta, last))) else {
            return Ok(None);
        };
        let snapshots = Arc::clone(&self.snapshots);
        let snapshot = blocking::<R, _>(move || snapshots.files.read_of(last)).await?;
        Ok(Some(Snapshot { meta, snapshot }))
    }
}

/// Writes one state of the image while the state machine goes on.
pub(crate) struct Builder<R> {
    image: Arc<ClusterImage>,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: Arc<Snapshots>,
    _runtime: PhantomData<R>,
}

impl<R: Runtime> RaftSnapshotBuilder<TypeConfig<R>> for Builder<R> {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        // Nothing was applied: not worth a file, and not an error.
        let Some(last) = self.applied else {
            return Ok(Snapshot {
                meta: SnapshotMeta::default(),
                snapshot: Bytes::new(),
            });
        };
        let (image, membership, snapshots) = (Arc::clone(&self.image), self.membership.clone(), Arc::clone(&self.snapshots));
        self.snapshots.records_since.store(0, Ordering::Relaxed);
        let content = blocking::<R, _>(move || {
            let content = snapshot::encode(last, &membership, &image, R::now_ms()).map_err(io::Error::other)?;
            snapshots.files.store(last, &content, limits::SNAPSHOTS_KEPT)?;
            Ok(content)
        })
        .await?;
        let meta = SnapshotMeta {
            last_log_id: Some(last),
            last_membership: self.membership.clone(),
        };
        let mut current = self.snapshots.current.lock();
        // One that was installed meanwhile is newer, and the log before it is gone.
        if current.as_ref().is_none_or(|current| current.last_log_id < meta.last_log_id) {
            *current = Some(meta.clone());
        }
        Ok(Snapshot { meta, snapshot: content })
    }
}
