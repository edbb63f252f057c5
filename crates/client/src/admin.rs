//! Administrative calls, one file per subject; each answers in plain values and retries what may succeed later.

use std::collections::BTreeMap;
use std::sync::Arc;

use dohle_protocol::Request;

use crate::cluster::{Cluster, Topics};
use crate::cluster_metadata::TopicPartition;
use crate::config::ClientConfig;
use crate::error::ClientError;

pub mod cluster_info;
pub mod configs;
pub mod elections;
pub mod group_offsets;
pub mod groups;
pub mod log_dirs;
pub mod offsets;
pub mod producers;
pub mod quorum;
pub mod reassignments;
pub mod records;
pub mod topics;

/// One answer per partition.
pub type PerPartition = BTreeMap<TopicPartition, Result<(), ClientError>>;

/// The administrator's view of a cluster.
#[derive(Clone)]
pub struct Admin {
    cluster: Arc<Cluster>,
}

impl Admin {
    pub async fn connect(config: ClientConfig) -> Result<Admin, ClientError> {
        Ok(Admin {
            cluster: Cluster::connect(config).await?,
        })
    }

    pub fn new(cluster: Arc<Cluster>) -> Admin {
        Admin { cluster }
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Sends to the controller. `outcome` reads from an answer what the controller says of the request as a whole: if that may be
    /// otherwise later, for one that is the controller no more, it is looked for and asked again.
    async fn ask_controller<R: Request>(
        &self,
        request: &R,
        outcome: fn(&R::Response) -> (i16, Option<String>),
    ) -> Result<R::Response, ClientError> {
        let mut retries = self.cluster.retries();
        loop {
            let response = self.cluster.call_controller(request).await?;
            let (code, message) = outcome(&response);
            let Err(error) = ClientError::check(code, message) else {
                return Ok(response);
            };
            retries.after(error).await?;
            // If nobody answers, the next attempt says so.
            let _ = self.cluster.refresh(Topics::None).await;
        }
    }

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

/// The indexes of the partitions of each topic.
fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> BTreeMap<Arc<str>, Vec<i32>> {
    let mut topics: BTreeMap<Arc<str>, Vec<i32>> = BTreeMap::new();
    for tp in partitions {
        topics.entry(Arc::clone(&tp.topic)).or_default().push(tp.partition);
    }
    topics
}
