//! Names of the files in a partition's directory: the base offset in twenty digits, then what the file is.

use dohle_protocol::id::Offset;

pub(crate) const LOG: &str = "log";
pub(crate) const OFFSET_INDEX: &str = "index";
pub(crate) const TIME_INDEX: &str = "timeindex";
pub(crate) const TXN_INDEX: &str = "txnindex";
pub(crate) const SNAPSHOT: &str = "snapshot";
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
pub(crate) const LEADER_EPOCH_CHECKPOINT: &str = "leader-epoch-checkpoint";

/// Renamed to this, a file is removed after a while; after a restart at once.
pub(crate) const DELETED: &str = ".deleted";
/// Being written by the cleaner; worth nothing after a crash.
pub(crate) const CLEANED: &str = ".cleaned";
/// Written by the cleaner, complete, and about to take the place of what it was made from.
pub(crate) const SWAP: &str = ".swap";

/// What a segment consists of, the log itself last: what has a log is a segment.
pub(crate) const SEGMENT: [&str; 4] = [OFFSET_INDEX, TIME_INDEX, TXN_INDEX, LOG];

/// `00000000000000000042.log`
pub(crate) fn of(offset: Offset, extension: &str) -> String {
    format!("{:020}.{extension}", offset.0)
}

/// The offset in a name that [`of`] makes with one of these extensions, and the extension.
pub(crate) fn parse(name: &str) -> Option<(Offset, &str)> {
    let (digits, extension) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some((Offset(digits.parse().ok()?), extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_offset_in_twenty_digits() {
        assert_eq!(of(Offset(42), LOG), "00000000000000000042.log");
        assert_eq!(parse("00000000000000000042.log"), Some((Offset(42), "log")));
        assert_eq!(parse("00000000000000000042.log.deleted"), Some((Offset(42), "log.deleted")));
        for foreign in [
            "42.log",
            "foo",
            "partition.metadata",
            "-0000000000000000042.log",
            "99999999999999999999.log",
            ".log",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
