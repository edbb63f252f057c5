//! One file per tool.

pub(crate) mod broker_api_versions;
pub(crate) mod cluster;
pub(crate) mod configs;
pub(crate) mod console_consumer;
pub(crate) mod console_producer;
pub(crate) mod consumer_groups;
pub(crate) mod consumer_perf_test;
pub(crate) mod delete_records;
pub(crate) mod dev;
pub(crate) mod dump_log;
pub(crate) mod get_offsets;
pub(crate) mod leader_election;
pub(crate) mod log_dirs;
pub(crate) mod metadata_quorum;
pub(crate) mod producer_perf_test;
pub(crate) mod reassign_partitions;
pub(crate) mod server_stop;
pub(crate) mod sim;
pub(crate) mod storage;
pub(crate) mod topics;
