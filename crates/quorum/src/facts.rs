//! The metadata that committed entries add up to, in memory, each change published before anybody is told of it.
//!
//! A voter keeps them as openraft's state machine, an observer applies to them what it pulls.

use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use dohle_metadata::delta::Delta;
use dohle_metadata::image::ClusterImage;
use dohle_metadata::record::MetadataRecord;
use dohle_protocol::id::Offset;
use openraft::EntryPayload;

use crate::publisher::{MetadataChange, MetadataVersion, Publisher};
use crate::type_config::{Applied, LogId, Payload, Proposal, SnapshotMeta, StoredMembership};

#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) image: Arc<ClusterImage>,
    pub(crate) applied: Option<LogId>,
    pub(crate) membership: StoredMembership,
    pub(crate) publisher: Arc<Publisher>,
}

impl Facts {
    /// What a snapshot says.
    pub(crate) fn new(meta: SnapshotMeta, image: ClusterImage) -> Facts {
        let image = Arc::new(image);
        let start = MetadataVersion {
            image: Arc::clone(&image),
            offset: offset_of(meta.last_log_id),
        };
        Facts {
            image,
            applied: meta.last_log_id,
            membership: meta.last_membership,
            publisher: Arc::new(Publisher::new(start, end_of(meta.last_log_id))),
        }
    }

    /// The next committed entry.
    pub(crate) async fn apply(&mut self, at: LogId, payload: &Payload) -> io::Result<Applied> {
        self.applied = Some(at);
        let applied = match payload {
            EntryPayload::Blank => Applied::Done,
            EntryPayload::Normal(proposal) => self.apply_proposal(at, proposal).await?,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(at), membership.clone());
                Applied::Done
            }
        };
        self.publisher.reached(end_of(self.applied));
        Ok(applied)
    }

    /// The records of one entry, unless its leader was not the one who decided them.
    async fn apply_proposal(&mut self, at: LogId, proposal: &Proposal) -> io::Result<Applied> {
        if proposal.decided_term != at.leader_id.term {
            tracing::warn!("entry {at} changes nothing: {proposal}");
            return Ok(Applied::Fenced);
        }
        let mut image = ClusterImage::clone(&self.image);
        // openraft would wait for ever for a state machine that panicked; told of an error, it ends, and says so to everybody who asks.
        if !apply_all(&mut image, &proposal.records) {
            return Err(io::Error::other(format!("entry {at} contradicts the metadata before it")));
        }
        let before = mem::replace(&mut self.image, Arc::new(image));
        self.publish(&before).await;
        Ok(Applied::Done)
    }

    /// Goes over to what a snapshot says.
    pub(crate) async fn replace(&mut self, meta: &SnapshotMeta, image: ClusterImage) {
        let before = mem::replace(&mut self.image, Arc::new(image));
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish(&before).await;
        self.publisher.reached(end_of(self.applied));
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

/// False if a record contradicts the image, of which some are applied then: a defect of the controller, or bytes that are none of ours.
pub(crate) fn apply_all(image: &mut ClusterImage, records: &[MetadataRecord]) -> bool {
    panic::catch_unwind(AssertUnwindSafe(|| records.iter().for_each(|record| image.apply(record)))).is_ok()
}

fn offset_of(applied: Option<LogId>) -> Offset {
    applied.map_or(Offset(-1), |id| Offset(id.index as i64))
}

/// Index of the entry to be applied next.
pub(crate) fn end_of(last: Option<LogId>) -> u64 {
    last.map_or(0, |id| id.index + 1)
}
