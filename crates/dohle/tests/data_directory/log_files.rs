//! D2 and D3: log files that end badly, and log files with a flipped bit.

use crate::content::{BATCHES, Content, End, RECORDS, RECORDS_PER_BATCH, files, one_record, read_all, records, rewrite, value};
use crate::harness::{Connection, Node};
use dohle_protocol::batch::batches;

const CORRUPT_MESSAGE: i16 = 2;

#[test]
fn d2_an_active_segment_cut_in_a_batch_ends_before_that_batch() {
    for end in End::BOTH {
        let (mut node, content) = ended_node(end);
        rewrite(files(&node, "t", "log").last().unwrap(), |bytes| bytes.truncate(bytes.len() - 1000));
        assert_cut(&mut node, content, RECORDS - RECORDS_PER_BATCH);
    }
}

#[test]
fn d2_a_tail_of_zeros_goes_and_nothing_else() {
    for end in End::BOTH {
        let (mut node, content) = ended_node(end);
        rewrite(files(&node, "t", "log").last().unwrap(), |bytes| bytes.extend([0; 5000]));
        assert_cut(&mut node, content, RECORDS);
    }
}

#[test]
fn d2_a_last_batch_that_is_half_zeros_goes() {
    let (mut node, content) = ended_node(End::Killed);
    rewrite(files(&node, "t", "log").last().unwrap(), |bytes| {
        let length = bytes.len();
        bytes[length - 9000..].fill(0);
    });
    assert_cut(&mut node, content, RECORDS - RECORDS_PER_BATCH);
}

/// A filled node that has ended.
fn ended_node(end: End) -> (Node, Content) {
    let mut node = Node::start(&[]);
    let content = Content::write(&mut node.connect(), "t");
    end.come_to(&mut node);
    (node, content)
}

/// The log ends at `log_end`, which is told; it can be read and written, and stays so over another kill.
fn assert_cut(node: &mut Node, content: Content, log_end: i64) {
    node.start_again();
    let log = node.log();
    let told = log.lines().find(|line| line.contains("cut a log"));
    assert!(
        told.is_some_and(|line| line.contains(&format!("log_end={log_end} ")) && line.contains("/t-0")),
        "{log}"
    );
    content.assert_readable(&mut node.connect(), "t", 0, log_end);
    let answer = node.connect().produce("t", 0, one_record("after"));
    assert_eq!((answer.error_code, answer.base_offset), (0, log_end));
    node.kill();
    node.start_again();
    assert!(!node.log().contains("WARN"), "{}", node.log());
    let read = read_all(&mut node.connect(), "t", log_end - 1);
    assert_eq!(read.last(), Some(&(log_end, b"after".to_vec())));
}

#[test]
fn d3_a_flipped_bit_in_a_sealed_segment_is_never_served_and_the_rest_is() {
    for end in End::BOTH {
        let mut node = Node::start(&[]);
        Content::write(&mut node.connect(), "t");
        wait_for_recovery_point(&node);
        end.come_to(&mut node);
        // Within a value of the second batch of the second segment.
        let sealed = &files(&node, "t", "log")[1];
        let stored = std::fs::read(sealed).unwrap();
        let mut sizes = batches(stored.into()).map(|batch| batch.unwrap().header);
        let (first, second) = (sizes.next().unwrap(), sizes.next().unwrap());
        rewrite(sealed, |bytes| bytes[first.size_in_bytes() + 60_000] ^= 4);
        node.start_again();
        assert_damaged_batch(&mut node.connect(), second.base_offset.0);
    }
}

/// That the sealed segments are durable is written down soon after they were sealed.
fn wait_for_recovery_point(node: &Node) {
    node.wait_until("a recovery point behind the sealed segments", |node| {
        let text = std::fs::read_to_string(node.data().join("recovery-point-offset-checkpoint")).unwrap_or_default();
        let mut offsets = text.lines().filter_map(|line| line.strip_prefix("t 0 ")?.parse::<i64>().ok());
        offsets.any(|offset| offset > RECORDS / 2)
    });
}

/// All batches can be read, but for the one at `damaged`.
fn assert_damaged_batch(connection: &mut Connection, damaged: i64) {
    for batch in (0..BATCHES).map(|number| number * RECORDS_PER_BATCH) {
        let answer = connection.fetch("t", 0, batch + 3);
        if batch == damaged {
            assert_eq!(answer.error_code, CORRUPT_MESSAGE);
            assert!(answer.records.is_none_or(|records| records.is_empty()));
            continue;
        }
        assert_eq!(answer.error_code, 0, "offset {batch}");
        let records = records(&answer.records.expect("records"));
        assert_eq!(records[0].offset.0, batch);
        for record in records {
            let offset = record.offset.0;
            assert!(
                !(damaged..damaged + RECORDS_PER_BATCH).contains(&offset),
                "{offset} is of the damaged batch"
            );
            assert_eq!(record.value.as_deref(), Some(&value(offset)[..]));
        }
    }
}
