//! The log directories of a node, taken into use before anything else.

use std::path::PathBuf;
use std::sync::Arc;

use dohle_protocol::id::BrokerId;
use dohle_storage::meta_properties::MetaPropertiesError;
use dohle_storage::{Disk, LockedDir, LogDir, LogDirError};

use crate::config::NodeConfig;

/// Nobody else uses them any more; of which cluster they are is not known yet.
#[derive(Debug)]
pub(crate) struct LockedDirectories {
    locked: Vec<LockedDir>,
    missing: Vec<PathBuf>,
}

#[derive(Debug)]
pub(crate) struct LogDirectories {
    pub(crate) working: Vec<LogDir>,
    /// Those that cannot be used. Their partitions are offline.
    pub(crate) missing: Vec<PathBuf>,
}

impl LockedDirectories {
    /// A node does not start without the first, which holds the metadata.
    pub(crate) fn lock(config: &NodeConfig, disk: &Arc<dyn Disk>) -> Result<LockedDirectories, LogDirError> {
        let mut missing = Vec::new();
        let dirs = config.log_dirs.iter();
        let locked = working(dirs.map(|path| (path.clone(), LogDir::lock(Arc::clone(disk), path))), &mut missing)?;
        Ok(LockedDirectories { locked, missing })
    }

    /// Opens all of them. A node does not start with one that belongs to somebody else.
    pub(crate) fn open(self, config: &NodeConfig, cluster_id: &str) -> Result<LogDirectories, LogDirError> {
        self.open_each(|dir| dir.open(cluster_id, BrokerId(config.node_id)))
    }

    /// The same, after the quorum has agreed on the cluster id.
    pub(crate) fn open_as_agreed(self, config: &NodeConfig, cluster_id: &str) -> Result<LogDirectories, LogDirError> {
        self.open_each(|dir| dir.open_as_agreed(cluster_id, BrokerId(config.node_id)))
    }

    fn open_each(self, open: impl Fn(LockedDir) -> Result<LogDir, LogDirError>) -> Result<LogDirectories, LogDirError> {
        let mut missing = self.missing;
        let opened = self.locked.into_iter().map(|dir| (dir.path().to_path_buf(), open(dir)));
        let working = working(opened, &mut missing)?;
        Ok(LogDirectories { working, missing })
    }
}

impl LogDirectories {
    /// The epoch under which the last broker closed all of them in order; -1 if it did not.
    pub(crate) fn ended_epoch(&self) -> i64 {
        let mut epochs = self.working.iter().map(|dir| dir.ended_epoch().unwrap_or(-1));
        let first = epochs.next().unwrap_or(-1);
        if self.missing.is_empty() && epochs.all(|epoch| epoch == first) {
            first
        } else {
            -1
        }
    }
}

/// What has come of each directory, as long as the first one works.
fn working<T>(
    outcomes: impl Iterator<Item = (PathBuf, Result<T, LogDirError>)>,
    missing: &mut Vec<PathBuf>,
) -> Result<Vec<T>, LogDirError> {
    let mut working = Vec::new();
    for (path, outcome) in outcomes {
        match outcome {
            Ok(dir) => working.push(dir),
            Err(error) if is_broken(&error) && !working.is_empty() => {
                tracing::error!("log directory is out of use, and its partitions are offline: {error}");
                missing.push(path);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(working)
}

/// The disk is at fault, not what is written on it.
fn is_broken(error: &LogDirError) -> bool {
    matches!(error, LogDirError::Io { .. } | LogDirError::Meta(MetaPropertiesError::Io { .. }))
}
