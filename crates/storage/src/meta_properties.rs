//! `meta.properties`: which cluster, node and directory the files of a log directory belong to.

use std::io;
use std::path::{Path, PathBuf};

use dohle_protocol::id::{BrokerId, uuid_from_base64, uuid_to_base64};
use uuid::Uuid;

use crate::disk::Disk;

/// Content of `meta.properties`, version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: BrokerId,
    /// Of this directory alone. Absent in directories formatted by Kafka before 3.7.
    pub directory_id: Option<Uuid>,
}

/// Why `meta.properties` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetaPropertiesError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: version {version} is not supported, only 1 is; the directory was written by an older or a newer release", path.display())]
    Version { path: PathBuf, version: String },
    #[error("{}: {problem}; restore the file, or format an empty directory", path.display())]
    Malformed { path: PathBuf, problem: String },
}

impl MetaProperties {
    pub const FILE_NAME: &'static str = "meta.properties";

    /// Reads the file in `dir`; `None` if there is none.
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<MetaProperties>, MetaPropertiesError> {
        let path = dir.join(Self::FILE_NAME);
        match disk.read(&path) {
            Ok(bytes) => Self::parse(&String::from_utf8_lossy(&bytes), &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MetaPropertiesError::Io { path, source }),
        }
    }

    /// Replaces the file in `dir` durably.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), MetaPropertiesError> {
        let path = dir.join(Self::FILE_NAME);
        disk.replace(&path, self.encode().as_bytes())
            .map_err(|source| MetaPropertiesError::Io { path, source })
    }

    fn encode(&self) -> String {
        let directory_id = self
            .directory_id
            .map(|id| format!("directory.id={}\n", uuid_to_base64(&id)))
            .unwrap_or_default();
        format!(
            "#\ncluster.id={}\n{directory_id}node.id={}\nversion=1\n",
            self.cluster_id, self.node_id
        )
    }

    fn parse(text: &str, path: &Path) -> Result<MetaProperties, MetaPropertiesError> {
        let malformed = |problem: String| MetaPropertiesError::Malformed {
            path: path.to_owned(),
            problem,
        };
        let find = |key: &str| property(text, key);
        let version = find("version").unwrap_or_else(|| "0".to_owned());
        if version != "1" {
            return Err(MetaPropertiesError::Version {
                path: path.to_owned(),
                version,
            });
        }
        let cluster_id = find("cluster.id")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| malformed("cluster.id is missing".into()))?;
        let node_id = find("node.id").ok_or_else(|| malformed("node.id is missing".into()))?;
        let node_id = node_id
            .parse()
            .ok()
            .filter(|id| *id >= 0)
            .ok_or_else(|| malformed(format!("node.id is '{node_id}'")))?;
        let directory_id = match find("directory.id") {
            None => None,
            Some(id) => Some(uuid_from_base64(&id).ok_or_else(|| malformed(format!("directory.id is '{id}'")))?),
        };
        Ok(MetaProperties {
            cluster_id,
            node_id: BrokerId(node_id),
            directory_id,
        })
    }
}

/// Value of a key in the properties format of Java, as far as this file uses it; of several, the last.
fn property(text: &str, key: &str) -> Option<String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '!']));
    let mut values = lines.filter_map(|line| {
        let (name, value) = line.split_once(['=', ':'])?;
        (name.trim() == key).then(|| value.trim().replace('\\', ""))
    });
    values.next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kafka_writes_and_what_it_writes_itself() {
        let text = "#\n#Sun Nov 22 15:38:00 UTC 2026\ncluster.id=4L6g3nShT-eMCtK--X86sw\ndirectory.id=ASNFZ4mrze_-3LqYdlQyEA\nnode.id=3\nversion=1\n";
        let meta = MetaProperties::parse(text, Path::new("m")).unwrap();
        assert_eq!((meta.cluster_id.as_str(), meta.node_id), ("4L6g3nShT-eMCtK--X86sw", BrokerId(3)));
        assert_eq!(meta.directory_id, uuid_from_base64("ASNFZ4mrze_-3LqYdlQyEA"));
        assert_eq!(MetaProperties::parse(&meta.encode(), Path::new("m")).unwrap(), meta);
    }

    #[test]
    fn d7_another_version_or_a_damaged_file_is_refused_with_a_hint() {
        let error = |text: &str| MetaProperties::parse(text, Path::new("m")).unwrap_err().to_string();
        assert!(error("version=99\ncluster.id=x\nnode.id=1").contains("version 99"));
        assert!(error("version=1\nnode.id=1").contains("cluster.id is missing"));
        assert!(error("version=1\ncluster.id=x\nnode.id=one").contains("node.id is 'one'"));
        assert!(error("version=1\ncluster.id=x\nnode.id=1\ndirectory.id=?").contains("format"));
        assert!(error("").contains("version 0"));
    }
}
