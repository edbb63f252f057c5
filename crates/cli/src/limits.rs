//! Every bound of the tools.

use std::time::Duration;

/// A line of the console producer; far above what any topic accepts.
pub(crate) const LINE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Blocks of lines read ahead of the producer.
pub(crate) const LINE_BLOCKS_AHEAD: usize = 16;

/// Deliveries whose outcome has not been looked at.
pub(crate) const DELIVERIES_PENDING_MAX: usize = 100_000;

/// A batch that `dump-log` reads into memory.
pub(crate) const DUMPED_BATCH_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// How long `server-stop` waits for a server to end.
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(60);

/// Partitions of topics in one answer, where no flag says otherwise.
pub(crate) const PARTITIONS_PER_ANSWER: i32 = 2000;

/// Nodes that `dev` runs.
pub(crate) const DEV_NODES_MAX: i64 = 9;

/// Lines of nodes that wait to be printed by `dev`; a node that says more waits.
pub(crate) const DEV_LINES_AHEAD: usize = 1024;
