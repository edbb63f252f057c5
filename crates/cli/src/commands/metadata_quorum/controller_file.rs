//! What the `server.properties` of a controller say of it as a voter.

use std::path::{Path, PathBuf};

use anyhow::Context;
use dohle_client::Properties;
use dohle_protocol::messages::add_raft_voter::Listener;
use dohle_storage::{MetaProperties, RealDisk};
use uuid::Uuid;

use crate::controller_listeners::{controller_listeners, list};

#[derive(Debug, PartialEq)]
pub(super) struct ControllerFile {
    pub(super) id: i32,
    /// Nil if the directory of the metadata is not formatted yet.
    pub(super) directory_id: Uuid,
    /// In the order of `controller.listener.names`.
    pub(super) listeners: Vec<Listener>,
}

impl ControllerFile {
    pub(super) fn read(path: &Path) -> anyhow::Result<ControllerFile> {
        let properties = Properties::from_file(path)?;
        let invalid = "Is this a valid controller configuration file?";
        let id = properties
            .get("node.id")
            .with_context(|| format!("node.id not found in configuration file. {invalid}"))?;
        let id: i32 = id.trim().parse().with_context(|| format!("node.id is not a number: {id}"))?;
        anyhow::ensure!(id >= 0, "node.id was negative in configuration file. {invalid}");
        let roles = properties.get("process.roles").unwrap_or("broker,controller");
        anyhow::ensure!(
            list(roles).any(|role| role == "controller"),
            "process.roles did not contain 'controller' in configuration file. {invalid}"
        );
        let dirs = properties.get("metadata.log.dir").or(properties.get("log.dirs"));
        let dirs = dirs.or(properties.get("log.dir")).unwrap_or("./dohle-data");
        let directory = PathBuf::from(list(dirs).next().unwrap_or_default());
        let formatted = MetaProperties::read(&RealDisk::new(), &directory)?;
        Ok(ControllerFile {
            id,
            directory_id: formatted.and_then(|meta| meta.directory_id).unwrap_or_default(),
            listeners: controller_listeners(&properties)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use dohle_protocol::id::BrokerId;

    use super::*;

    fn read(text: &str) -> Result<ControllerFile, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        ControllerFile::read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_controller_is_known_by_its_file_and_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let meta = MetaProperties {
            cluster_id: "c".into(),
            node_id: BrokerId(4),
            directory_id: Some(Uuid::from_u128(7)),
        };
        meta.write(&RealDisk::new(), dir.path()).unwrap();
        let found = read(&format!(
            "node.id=4\nprocess.roles=controller\nlog.dirs={}\nlisteners=CONTROLLER://:9093\ncontroller.listener.names=CONTROLLER\n",
            dir.path().display()
        ));
        let found = found.unwrap();
        assert_eq!((found.id, found.directory_id), (4, Uuid::from_u128(7)));
        let listener = &found.listeners[0];
        assert_eq!(
            (listener.name.as_str(), listener.host.as_str(), listener.port),
            ("CONTROLLER", "localhost", 9093)
        );
    }

    #[test]
    fn what_is_advertised_counts_before_what_is_bound() {
        let found = read(
            "node.id=1\nlog.dirs=/nowhere\nlisteners=C://0.0.0.0:1,PLAINTEXT://:2\nadvertised.listeners=C://[::1]:3\ncontroller.listener.names=c\n",
        );
        let found = found.unwrap();
        assert_eq!(found.directory_id, Uuid::nil());
        assert_eq!((found.listeners[0].host.as_str(), found.listeners[0].port), ("::1", 3));
    }

    #[test]
    fn what_is_no_controller_is_refused() {
        for (text, part) in [
            ("log.dirs=/x\n", "node.id not found"),
            ("node.id=-1\n", "negative"),
            ("node.id=1\nprocess.roles=broker\n", "did not contain 'controller'"),
            ("node.id=1\nlisteners=PLAINTEXT://:1\n", "controller listener name: CONTROLLER"),
            ("node.id=1\nlisteners=CONTROLLER\n", "NAME://HOST:PORT"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
