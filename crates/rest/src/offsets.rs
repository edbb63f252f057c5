//! Offsets of partitions by time.

use std::collections::BTreeMap;

use dohle_client::config::IsolationLevel;
use dohle_client::{Admin, TopicPartition};

use crate::error::RestError;

/// All of them, or why there is none; -1 where no record is that late.
pub(crate) async fn offsets_at(admin: &Admin, times: &BTreeMap<TopicPartition, i64>) -> Result<BTreeMap<TopicPartition, i64>, RestError> {
    let found = admin.list_offsets(times, IsolationLevel::ReadUncommitted).await?;
    found.into_iter().map(|(tp, found)| Ok((tp, found?.offset))).collect()
}

pub(crate) async fn offset_at(admin: &Admin, tp: &TopicPartition, time: i64) -> Result<i64, RestError> {
    let found = offsets_at(admin, &BTreeMap::from([(tp.clone(), time)])).await?;
    found.into_values().next().ok_or_else(RestError::no_partition)
}
