//! The value of `--initial-controllers`: `ID@HOST:PORT:DIRECTORY_ID`, between commas.

use anyhow::Context;
use dohle_protocol::id::uuid_from_base64;
use uuid::Uuid;

use crate::controller_listeners::{address, list};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InitialController {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) directory_id: Uuid,
}

pub(super) fn parse(text: &str) -> anyhow::Result<Vec<InitialController>> {
    let mut controllers: Vec<InitialController> = Vec::new();
    for item in list(text) {
        let controller = parse_one(item).with_context(|| format!("{item} is not ID@HOST:PORT:DIRECTORY_ID"))?;
        anyhow::ensure!(
            controllers.iter().all(|known| known.id != controller.id),
            "Node id {} was specified more than once.",
            controller.id
        );
        controllers.push(controller);
    }
    anyhow::ensure!(!controllers.is_empty(), "No voters given.");
    Ok(controllers)
}

fn parse_one(text: &str) -> Option<InitialController> {
    let (id, rest) = text.split_once('@')?;
    let (rest, directory_id) = rest.rsplit_once(':')?;
    let (host, port) = rest.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some(InitialController {
        id: id.parse().ok().filter(|id| *id >= 0)?,
        host: Some(host.to_owned()).filter(|host| !host.is_empty())?,
        port: port.parse().ok()?,
        directory_id: uuid_from_base64(directory_id)?,
    })
}

/// As `controller.quorum.voters` would name them.
pub(super) fn voters(controllers: &[InitialController]) -> String {
    let voters = controllers.iter().map(|one| format!("{}@{}", one.id, address(&one.host, one.port)));
    voters.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_are_numbers_addresses_and_directories() {
        let found = parse("1@a.example:8082:JEXY6aqzQY-32P5TStzaFg,2@[::1]:8083:MvDxzVmcRsaTz33bUuRU6A").unwrap();
        assert_eq!((found[1].id, found[1].host.as_str(), found[1].port), (2, "::1", 8083));
        assert_eq!(Some(found[0].directory_id), uuid_from_base64("JEXY6aqzQY-32P5TStzaFg"));
        assert_eq!(voters(&found), "1@a.example:8082,2@[::1]:8083");
    }

    #[test]
    fn what_is_wrong_with_them_is_told() {
        let id = "JEXY6aqzQY-32P5TStzaFg";
        for wrong in [
            "a:1".to_owned(),
            format!("x@a:1:{id}"),
            format!("-1@a:1:{id}"),
            format!("1@:1:{id}"),
            format!("1@a:99999:{id}"),
            "1@a:1".to_owned(),
            "1@a:1:short".to_owned(),
        ] {
            let error = parse(&wrong).unwrap_err().to_string();
            assert!(error.contains("is not ID@HOST:PORT:DIRECTORY_ID"), "{wrong}: {error}");
        }
        let twice = parse(&format!("1@a:1:{id},1@b:1:{id}")).unwrap_err().to_string();
        assert!(twice.contains("Node id 1 was specified more than once"), "{twice}");
        assert!(parse(" ,").is_err());
    }
}
