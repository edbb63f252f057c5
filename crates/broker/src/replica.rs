//! The partitions that this broker holds: their logs, their roles, and the replies that wait for them.

pub(crate) mod ack_ticket;
pub(crate) mod cell;
pub(crate) mod cleaner;
pub(crate) mod cleaner_queue;
pub(crate) mod fetch_pass;
pub(crate) mod fetch_wait;
pub(crate) mod fetcher;
pub(crate) mod followed;
pub(crate) mod housekeeping;
pub(crate) mod isr_proposals;
pub(crate) mod log_directory;
pub(crate) mod partition_view;
pub(crate) mod produce_wait;
pub(crate) mod schedule;
pub(crate) mod table;
mod tail_cache;
pub(crate) mod topic_settings;
pub(crate) mod turned_away;
