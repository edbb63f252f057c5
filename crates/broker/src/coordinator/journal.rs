//! What was decided, as record batches.

use bytes::Bytes;
use dohle_protocol::builder::RecordBatchBuilder;
use dohle_protocol::coordinator_records::GroupRecord;

/// The records in one batch; in several only if one would be larger than the log takes, which is so of nothing but tombstones: what a
/// request writes is bounded by the machine.
pub(super) fn batches(records: &[GroupRecord], now_ms: i64, batch_bytes_max: usize) -> Vec<Bytes> {
    let mut done = Vec::new();
    let mut batch = RecordBatchBuilder::new();
    for record in records {
        let (key, value) = record.encode();
        let bytes = RecordBatchBuilder::record_size_bound(Some(&key), value.as_deref(), &[]);
        if !batch.is_empty() && batch.size_in_bytes() + bytes > batch_bytes_max {
            done.push(std::mem::take(&mut batch).build());
        }
        batch.append(now_ms, Some(&key), value.as_deref(), &[]);
    }
    if !batch.is_empty() {
        done.push(batch.build());
    }
    done
}

#[cfg(test)]
mod tests {
    use dohle_protocol::batch::BatchHeader;

    use super::*;

    #[test]
    fn only_what_is_too_large_for_one_batch_becomes_several() {
        let tombstone = |partition| GroupRecord::OffsetCommit {
            group: "g".to_string(),
            topic: "t".to_string(),
            partition,
            value: None,
        };
        let records: Vec<GroupRecord> = (0..100).map(tombstone).collect();
        assert_eq!(batches(&records, 1, 1 << 20).len(), 1);
        let split = batches(&records, 1, 1000);
        assert!(split.len() > 1 && split.iter().all(|batch| batch.len() <= 1000));
        let counts = split.iter().map(|batch| BatchHeader::parse(batch).unwrap().record_count);
        assert_eq!(counts.sum::<i32>(), 100);
        assert!(batches(&[], 1, 1000).is_empty());
    }
}
