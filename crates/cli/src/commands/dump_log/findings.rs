//! What does not fit together; told at the end, on stderr.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Pairs = BTreeMap<PathBuf, Vec<(i64, i64)>>;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Offset in the index, offset in the log.
    pub(super) index_mismatches: Pairs,
    /// Timestamp in the index, timestamp in the log.
    pub(super) time_mismatches: Pairs,
    /// Timestamp, and the one indexed before it.
    pub(super) times_out_of_order: Pairs,
    /// Offset in the time index, offset found in the log.
    pub(super) times_not_found: Pairs,
    /// Offset, and the one that follows it.
    pub(super) gaps: Pairs,
}

/// Notes a pair about a file.
pub(super) fn note(pairs: &mut Pairs, file: &Path, pair: (i64, i64)) {
    pairs.entry(file.to_owned()).or_default().push(pair);
}

impl Findings {
    pub(super) fn report(&self) {
        let print = |pairs: &Pairs, title: &str, line: &dyn Fn(i64, i64) -> String| {
            for (file, pairs) in pairs {
                eprintln!("{title}{}", file.display());
                pairs.iter().for_each(|&(first, second)| eprintln!("  {}", line(first, second)));
            }
        };
        print(&self.index_mismatches, "Mismatches in :", &|index, log| {
            format!("Index offset: {index}, log offset: {log}")
        });
        print(&self.time_mismatches, "Found timestamp mismatch in :", &|index, log| {
            format!("Index timestamp: {index}, log timestamp: {log}")
        });
        print(&self.times_out_of_order, "Found out of order timestamp in :", &|index, before| {
            format!("Index timestamp: {index}, Previously indexed timestamp: {before}")
        });
        print(
            &self.times_not_found,
            "The following indexed offsets are not found in the log of ",
            &|index, found| format!("Indexed offset: {index}, found log offset: {found}"),
        );
        print(&self.gaps, "Non-consecutive offsets in ", &|first, second| {
            format!("{first} is followed by {second}")
        });
    }
}
