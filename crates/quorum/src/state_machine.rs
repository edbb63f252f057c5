//! What openraft commits becomes the image of the cluster, and each change is published before the one who proposed it hears of it.
//!
//! The image is in memory only; a start rebuilds it from the last snapshot and the log behind it.

use std::io;
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use dohle_metadata::delta::Delta;
use dohle_metadata::image::ClusterImage;
use dohle_protocol::id::Offset;
use dohle_storage::Disk;
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftStateMachine};
use openraft::{BasicNode, EntryPayload, OptionalSend, RaftSnapshotBuilder};
use parking_lot::Mutex;

use crate::limits;
use crate::publisher::{MetadataChange, MetadataVersion, Publisher};
use crate::runtime::{Runtime, blocking};
use crate::snapshot::{self, SnapshotFiles};
use crate::start_error::StartError;
use crate::type_config::{Applied, CommittedLeader, LogId, NodeId, Proposal, SnapshotMeta, StoredMembership, TypeConfig};

/// A snapshot as openraft passes it around: its file as bytes.
pub(crate) type Snapshot = openraft::Snapshot<CommittedLeader, NodeId, BasicNode, Bytes>;

#[derive(Debug)]
pub(crate) struct StateMachine {
    image: Arc<ClusterImage>,
    applied: Option<LogId>,
    membership: StoredMembership,
    publisher: Arc<Publisher>,
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
}

impl StateMachine {
    /// Loads the newest snapshot; `purged` is the last entry that the log no longer has.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, purged: Option<LogId>) -> Result<StateMachine, StartError> {
        let files = SnapshotFiles::new(Arc::clone(disk), dir);
        let (current, image) = files.load(purged)?.unzip();
        let image = Arc::new(image.unwrap_or_default());
        let (applied, membership) = current.as_ref().map_or_else(Default::default, |meta: &SnapshotMeta| {
            (meta.last_log_id, meta.last_membership.clone())
        });
        let start = MetadataVersion {
            image: Arc::clone(&image),
            offset: offset_of(applied),
        };
        let snapshots = Snapshots {
            files,
            current: Mutex::new(current),
            records_since: AtomicU64::new(0),
        };
        Ok(StateMachine {
            image,
            applied,
            membership,
            publisher: Arc::new(Publisher::new(start)),
            snapshots: Arc::new(snapshots),
        })
    }

    pub(crate) fn observer(&self) -> Observer {
        Observer {
            publisher: Arc::clone(&self.publisher),
            snapshots: Arc::clone(&self.snapshots),
        }
    }

    /// The records of one entry, unless its leader was not the one who decided them.
    async fn apply_proposal(&mut self, at: LogId, proposal: &Proposal) -> io::Result<Applied> {
        if proposal.decided_term != at.leader_id.term {
            tracing::warn!("entry {at} changes nothing: {proposal}");
            return Ok(Applied::Fenced);
        }
        let mut image = ClusterImage::clone(&self.image);
        // A record that contradicts the image is a defect of the controller. openraft would wait for ever for a state machine that
        // panicked; told of an error, it ends, and says so to everybody who asks.
        panic::catch_unwind(AssertUnwindSafe(|| proposal.records.iter().for_each(|record| image.apply(record))))
            .map_err(|_| io::Error::other(format!("entry {at} contradicts the metadata before it")))?;
        let before = mem::replace(&mut self.image, Arc::new(image));
        self.snapshots
            .records_since
            .fetch_add(proposal.records.len() as u64, Ordering::Relaxed);
        self.publish(&before).await;
        Ok(Applied::Done)
    }

    async fn publish(&self, before: &ClusterImage) {
        let version = MetadataVersion {
            image: Arc::clone(&self.image),
            offset: offset_of(self.applied),
        };
        self.publisher
            .publish(MetadataChange {
                delta: Arc::new(Delta::between(before, &self.image)),
                version,
            })
            .await;
    }
}

fn offset_of(applied: Option<LogId>) -> Offset {
    applied.map_or(Offset(-1), |id| Offset(id.index as i64))
}

impl<R: Runtime> RaftStateMachine<TypeConfig<R>> for StateMachine {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder<R>;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig<R>>>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            self.applied = Some(entry.log_id);
            let applied = match entry.payload {
                EntryPayload::Blank => Applied::Done,
                EntryPayload::Normal(proposal) => self.apply_proposal(entry.log_id, &proposal).await?,
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Applied::Done
                }
            };
            if let Some(responder) = responder {
                responder.send(applied);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder<R> {
        Builder {
            image: Arc::clone(&self.image),
            applied: self.applied,
            membership: self.membership.clone(),
            snapshots: Arc::clone(&self.snapshots),
            _runtime: PhantomData,
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, content: Bytes) -> io::Result<()> {
        let last = meta.last_log_id.ok_or_else(|| io::Error::other("a snapshot of nothing"))?;
        let (found, image) = snapshot::decode(&content).map_err(io::Error::other)?;
        if found != *meta {
            return Err(io::Error::other(format!("the snapshot is of {found}, not of {meta}")));
        }
        let snapshots = Arc::clone(&self.snapshots);
        blocking::<R, _>(move || snapshots.files.store(last, &content, 1)).await?;
        *self.snapshots.current.lock() = Some(meta.clone());
        self.snapshots.records_since.store(0, Ordering::Relaxed);
        let before = mem::replace(&mut self.image, Arc::new(image));
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish(&before).await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        let current = self.snapshots.current.lock().clone();
        let Some((meta, last)) = current.and_then(|meta| meta.last_log_id.map(|last| (meta, last))) else {
            return Ok(None);
        };
        Ok(Some(Snapshot {
            snapshot: self.snapshots.files.read_of(last)?,
            meta,
        }))
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
        *self.snapshots.current.lock() = Some(meta.clone());
        Ok(Snapshot { meta, snapshot: content })
    }
}
