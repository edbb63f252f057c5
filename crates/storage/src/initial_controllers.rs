//! `initial-controllers`: the voters that a log directory was formatted with, for a node whose configuration names none.

use std::io;
use std::path::Path;

use crate::disk::Disk;

const FILE_NAME: &str = "initial-controllers";

/// The voters as `controller.quorum.voters` would name them; `None` if the directory was formatted without.
pub fn read(disk: &dyn Disk, dir: &Path) -> io::Result<Option<String>> {
    match disk.read(&dir.join(FILE_NAME)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Durable when it returns.
pub fn write(disk: &dyn Disk, dir: &Path, voters: &str) -> io::Result<()> {
    disk.replace(&dir.join(FILE_NAME), format!("{voters}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new();
        assert_eq!(read(&disk, dir.path()).unwrap(), None);
        write(&disk, dir.path(), "1@a:9093,2@b:9093").unwrap();
        assert_eq!(read(&disk, dir.path()).unwrap().as_deref(), Some("1@a:9093,2@b:9093"));
    }
}
