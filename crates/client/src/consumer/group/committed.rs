//! Reads back what a group has committed.

use super::coordinator::Coordinator;
use crate::cluster_metadata::TopicPartition;
use crate::consumer::offsets::Offsets;
use crate::error::ClientError;
use crate::offset_fetch::{self, Of};

impl Coordinator {
    /// The committed offsets of those of the partitions that have one. What may succeed later is tried again.
    pub(in crate::consumer) async fn committed(&self, partitions: &[TopicPartition]) -> Result<Offsets, ClientError> {
        if partitions.is_empty() {
            return Ok(Offsets::new());
        }
        let mut retries = self.cluster().retries();
        loop {
            match self.committed_once(partitions).await {
                Ok(offsets) => return Ok(offsets),
                Err(error) => retries.after(error).await?,
            }
        }
    }

    async fn committed_once(&self, partitions: &[TopicPartition]) -> Result<Offsets, ClientError> {
        let reached = self.reach().await?;
        let attempt = async {
            let groups = vec![self.group_id().to_owned()];
            let answers = offset_fetch::committed(&reached.connection, groups, Of::Stable(partitions)).await?;
            let unanswered = || ClientError::Incomplete("OffsetFetch was not answered for the group".to_owned());
            answers.into_values().next().ok_or_else(unanswered)?
        };
        let outcome = attempt.await.inspect_err(|error| self.heed(reached.node, error));
        self.give_back(reached);
        outcome
    }
}
