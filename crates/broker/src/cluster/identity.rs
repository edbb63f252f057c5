//! Which cluster this node belongs to, as its log directories say, and which process holds a directory that is in use.

use std::io;
use std::path::{Path, PathBuf};

use dohle_protocol::id::uuid_to_base64;
use dohle_storage::{Disk, MetaProperties};
use uuid::Uuid;

/// The directories of one node disagree.
#[derive(Debug, thiserror::Error)]
#[error("cluster id mismatch: {} belongs to cluster {first_id}, {} to cluster {second_id}", first.display(), second.display())]
pub struct ClusterIdMismatch {
    first: PathBuf,
    first_id: String,
    second: PathBuf,
    second_id: String,
}

/// The id that the directories have been given; `None` if they are new. A directory that cannot be read has no say: what is wrong with it is
/// found out when it is opened.
pub(crate) fn cluster_id(disk: &dyn Disk, dirs: &[PathBuf]) -> Result<Option<String>, ClusterIdMismatch> {
    let mut found: Option<(&Path, String)> = None;
    for dir in dirs {
        let Ok(Some(meta)) = MetaProperties::read(disk, dir) else {
            continue;
        };
        match &found {
            Some((first, first_id)) if *first_id != meta.cluster_id => {
                let (first, first_id) = (first.to_path_buf(), first_id.clone());
                return Err(ClusterIdMismatch {
                    first,
                    first_id,
                    second: dir.clone(),
                    second_id: meta.cluster_id,
                });
            }
            _ => found = Some((dir, meta.cluster_id)),
        }
    }
    Ok(found.map(|(_, id)| id))
}

/// Random, and never with a dash in front: people paste it behind flags.
pub(crate) fn new_cluster_id() -> String {
    loop {
        let id = uuid_to_base64(&Uuid::new_v4());
        if !id.starts_with('-') {
            return id;
        }
    }
}

/// The process that holds the lock of a log directory, for the error that says so.
pub(crate) fn lock_holder(dir: &Path) -> Option<i32> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(dir.join(".lock")).ok()?;
    let lock = rustix::process::Flock::from(rustix::process::FlockType::WriteLock);
    let holder = rustix::process::fcntl_getlk(&file, &lock).map_err(io::Error::from).ok()??;
    holder.pid.map(|pid| pid.as_raw_nonzero().get())
}

#[cfg(test)]
mod tests {
    use dohle_protocol::id::{BrokerId, uuid_from_base64};
    use dohle_storage::RealDisk;

    use super::*;

    #[test]
    fn g2_directories_of_two_clusters_are_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dirs = [one.path().to_path_buf(), other.path().to_path_buf()];
        let disk = RealDisk::default();
        assert_eq!(cluster_id(&disk, &dirs).unwrap(), None);
        assert!(uuid_from_base64(&new_cluster_id()).is_some());

        let meta = |cluster_id: &str| MetaProperties {
            cluster_id: cluster_id.to_owned(),
            node_id: BrokerId(1),
            directory_id: None,
        };
        meta("first").write(&disk, one.path()).unwrap();
        assert_eq!(cluster_id(&disk, &dirs).unwrap().as_deref(), Some("first"));
        meta("second").write(&disk, other.path()).unwrap();
        let error = cluster_id(&disk, &dirs).unwrap_err().to_string();
        assert!(
            error.contains("cluster id mismatch") && error.contains("first") && error.contains("second"),
            "{error}"
        );
    }
}
