//! Administrative calls, one file per subject; each answers in plain values and retries what may succeed later.

use std::sync::Arc;

use crate::cluster::Cluster;
use crate::config::ClientConfig;
use crate::error::ClientError;

pub mod cluster_info;
pub mod configs;
pub mod group_offsets;
pub mod groups;
pub mod log_dirs;
pub mod offsets;
pub mod producers;
pub mod quorum;
pub mod records;
pub mod topics;

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

    fn timeout_ms(&self) -> i32 {
        i32::try_from(self.cluster.config().request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}
