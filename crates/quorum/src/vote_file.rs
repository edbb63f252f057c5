//! `quorum-state`: the few facts that must survive although they are not entries of the log. Chiefly the vote.
//!
//! A node that forgets its vote can vote twice in one term, and a term with two leaders loses committed entries. The file is therefore
//! replaced atomically, synced with its directory, and guarded by a checksum; one that cannot be read stops the node.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dohle_storage::Disk;

use crate::start_error::StartError;
use crate::type_config::{LogId, NodeId, Vote, log_id};

/// Kafka's name for it; the content is our own.
pub(crate) const FILE_NAME: &str = "quorum-state";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DurableState {
    /// Whose file it is. A copy of another node's directory would vote in that node's name.
    pub(crate) node_id: NodeId,
    /// `None` = never voted.
    pub(crate) vote: Option<Vote>,
    /// Entries up to and including this one have been replaced by a snapshot.
    pub(crate) purged: Option<LogId>,
    /// The log was durable up to here (exclusive) when the file was written: a shorter one has lost entries.
    pub(crate) log_end: u64,
}

#[derive(Debug)]
pub(crate) struct VoteFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl VoteFile {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> VoteFile {
        VoteFile {
            disk,
            path: dir.join(FILE_NAME),
        }
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// `None` if there is no file.
    pub(crate) fn load(&self) -> Result<Option<DurableState>, StartError> {
        let unreadable = |reason: String| StartError::VoteUnreadable {
            path: self.path.clone(),
            reason,
        };
        if self.disk.len(&self.path).map_err(|error| unreadable(error.to_string()))?.is_none() {
            return Ok(None);
        }
        let content = self.disk.read(&self.path).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(content).map_err(|_| unreadable("it is not text".to_owned()))?;
        let state = parse(&text).ok_or_else(|| unreadable("a line is missing, or damaged".to_owned()))?;
        if render(&state) != text {
            return Err(unreadable("its checksum does not match its content".to_owned()));
        }
        Ok(Some(state))
    }

    /// Durable when this returns. After an error either content may be on disk.
    pub(crate) fn store(&self, state: &DurableState) -> io::Result<()> {
        self.disk.replace(&self.path, render(state).as_bytes())
    }
}

fn render(state: &DurableState) -> String {
    let mut text = format!("version=0\nnode.id={}\n", state.node_id);
    if let Some(vote) = &state.vote {
        let _ = writeln!(text, "vote={} {} {}", vote.leader_id.term, vote.leader_id.voted_for, vote.committed);
    }
    if let Some(purged) = &state.purged {
        let _ = writeln!(text, "purged={} {}", purged.leader_id.term, purged.index);
    }
    let _ = writeln!(text, "log.end={}", state.log_end);
    let _ = writeln!(text, "crc32c={:08x}", crc32c::crc32c(text.as_bytes()));
    text
}

/// The values, taken as they come: `render` of them must give the same text again, which checks names, order and checksum.
fn parse(text: &str) -> Option<DurableState> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let vote = match value("vote") {
        Some(words) => {
            let mut words = words.split(' ');
            let (term, node_id) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let committed = words.next()?.parse().ok()?;
            Some(if committed {
                Vote::new_committed(term, node_id)
            } else {
                Vote::new(term, node_id)
            })
        }
        None => None,
    };
    let purged = match value("purged") {
        Some(words) => {
            let (term, index) = words.split_once(' ')?;
            Some(log_id(term.parse().ok()?, index.parse().ok()?))
        }
        None => None,
    };
    Some(DurableState {
        node_id: value("node.id")?.parse().ok()?,
        vote,
        purged,
        log_end: value("log.end")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use dohle_storage::RealDisk;

    use super::*;

    fn state() -> DurableState {
        DurableState {
            node_id: 3,
            vote: Some(Vote::new_committed(7, 2)),
            purged: Some(log_id(5, 41)),
            log_end: 99,
        }
    }

    fn file_in(dir: &Path) -> VoteFile {
        VoteFile::new(Arc::new(RealDisk::default()), dir)
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(dir.path());
        assert_eq!(file.load().unwrap(), None);
        let first = DurableState {
            node_id: 3,
            vote: None,
            purged: None,
            log_end: 0,
        };
        for state in [
            first,
            state(),
            DurableState {
                vote: Some(Vote::new(8, 3)),
                ..state()
            },
        ] {
            file.store(&state).unwrap();
            assert_eq!(file.load().unwrap(), Some(state));
        }
    }

    #[test]
    fn d6_any_flipped_bit_or_missing_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = file_in(dir.path());
        file.store(&state()).unwrap();
        let good = std::fs::read(dir.path().join(FILE_NAME)).unwrap();
        for position in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[position] ^= 1 << bit;
                std::fs::write(dir.path().join(FILE_NAME), &bad).unwrap();
                assert!(
                    matches!(file.load(), Err(StartError::VoteUnreadable { .. })),
                    "bit {bit} of byte {position}"
                );
            }
            std::fs::write(dir.path().join(FILE_NAME), &good[..position]).unwrap();
            assert!(matches!(file.load(), Err(StartError::VoteUnreadable { .. })), "{position} bytes");
        }
    }
}
