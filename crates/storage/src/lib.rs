//! One partition's log on disk, in Kafka's own file formats, and the directory that holds many of them.
//!
//! Synchronous: the caller holds the lock of a partition while it appends, gives time as an argument, and chooses the thread. A log knows
//! record batches, not what a topic, a replica or a high watermark means; bounds that come from replication are passed in.
//! An idle log keeps no file open and no index in memory.
//!
//! Start with [`PartitionLog`]: `recovery` opens one, `append` writes, `read_view` reads, `retention` and `truncate` remove, `cleaner` compacts.
//! [`LogDir`] finds the logs of a directory and keeps its checkpoints, [`Committer`] makes what was written durable, [`disk`] is the file
//! system as a trait, with an implementation that loses unsynced data for tests.

pub mod append;
pub mod batch_validator;
pub mod checkpoint;
pub mod cleaner;
pub mod committer;
pub mod disk;
pub mod epoch_cache;
mod file_name;
mod index_file;
pub mod initial_controllers;
pub mod limits;
mod log_config;
pub mod log_dir;
pub mod meta_properties;
mod offset_index;
pub mod partition_log;
mod producer_recovery;
pub mod producer_snapshot;
pub mod producer_state;
mod read_ends;
pub mod read_view;
mod recovery;
mod retention;
mod scan;
mod segment;
mod sync_target;
mod time_index;
mod time_search;
mod truncate;
mod txn_file;
pub mod txn_index;

pub use append::{AppendContext, AppendError, AppendInfo, AppendOrigin};
pub use cleaner::{CleanError, CleanerControl, CleanerLimits, CleanerStats, Cleaning, Dirtiness, SharedLog};
pub use committer::{Committer, SyncState, Syncable};
pub use disk::{Disk, FaultyDisk, RealDisk};
pub use log_config::{CompressionSetting, LogConfig};
pub use log_dir::{FoundLog, LockedDir, LogDir, LogDirError, LogPositions};
pub use meta_properties::MetaProperties;
pub use partition_log::{LogError, LogIdentity, PartitionLog};
pub use read_view::{ReadError, ReadRequest, ReadResult, ReadView};
pub use recovery::{OpenError, OpenState};
pub use retention::RemovableFiles;
pub use sync_target::SyncTarget;
pub use time_search::TimestampOffset;
