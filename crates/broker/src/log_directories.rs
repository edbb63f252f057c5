//! The log directories of a node, taken into use before anything else.

use std::path::PathBuf;
use std::sync::Arc;

use dohle_protocol::id::BrokerId;
use dohle_storage::meta_properties::MetaPropertiesError;
use dohle_storage::{Disk, LogDir, LogDirError};

use crate::config::NodeConfig;

#[derive(Debug)]
pub(crate) struct LogDirectories {
    pub(crate) working: Vec<LogDir>,
    /// Those that cannot be used. Their partitions are offline.
    pub(crate) missing: Vec<PathBuf>,
}

impl LogDirectories {
    /// Opens all of them. A node does not start without the first, which holds the metadata, nor with one that belongs to somebody else.
    pub(crate) fn open(config: &NodeConfig, cluster_id: &str, disk: &Arc<dyn Disk>) -> Result<LogDirectories, LogDirError> {
        let mut working = Vec::new();
        let mut missing = Vec::new();
        for path in &config.log_dirs {
            match LogDir::open(Arc::clone(disk), path, cluster_id, BrokerId(config.node_id)) {
                Ok(dir) => working.push(dir),
                Err(error) if is_broken(&error) && !working.is_empty() => {
                    tracing::error!("log directory is out of use, and its partitions are offline: {error}");
                    missing.push(path.clone());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(LogDirectories { working, missing })
    }
}

/// The disk is at fault, not what is written on it.
fn is_broken(error: &LogDirError) -> bool {
    matches!(error, LogDirError::Io { .. } | LogDirError::Meta(MetaPropertiesError::Io { .. }))
}
