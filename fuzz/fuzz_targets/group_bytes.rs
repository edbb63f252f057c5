//! Any bytes where members and coordinators leave theirs: subscriptions, assignments, records of `__consumer_offsets`.

#![no_main]

use bytes::Bytes;
use dohle_protocol::consumer_protocol::{CONSUMER_PROTOCOL_VERSION_MAX, ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use dohle_protocol::coordinator_records::GroupRecord;
use libfuzzer_sys::fuzz_target;

// The first byte chooses the reader; for records, the second says how long the key is.
fuzz_target!(|data: &[u8]| {
    let Some((choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => subscription(Bytes::copy_from_slice(rest)),
        1 => assignment(Bytes::copy_from_slice(rest)),
        2 => record(rest, true),
        _ => record(rest, false),
    }
});

fn subscription(bytes: Bytes) {
    let Ok(subscription) = ConsumerProtocolSubscription::decode(bytes) else {
        return;
    };
    let encoded = subscription.encode(CONSUMER_PROTOCOL_VERSION_MAX);
    assert_eq!(ConsumerProtocolSubscription::decode(encoded).as_ref(), Ok(&subscription));
}

fn assignment(bytes: Bytes) {
    let Ok(assignment) = ConsumerProtocolAssignment::decode(bytes) else {
        return;
    };
    let encoded = assignment.encode(CONSUMER_PROTOCOL_VERSION_MAX);
    assert_eq!(ConsumerProtocolAssignment::decode(encoded).as_ref(), Ok(&assignment));
}

fn record(bytes: &[u8], has_value: bool) {
    let Some((key_bytes, rest)) = bytes.split_first() else { return };
    let (key, value) = rest.split_at(usize::from(*key_bytes).min(rest.len()));
    let value = has_value.then(|| Bytes::copy_from_slice(value));
    if let Ok(Some(record)) = GroupRecord::decode(Bytes::copy_from_slice(key), value) {
        // Written in the newest version, whatever it was read from; what that cannot say is lost once, and not again.
        let (key, value) = record.encode();
        let again = GroupRecord::decode(key, value)
            .expect("what was encoded can be decoded")
            .expect("a known kind of record");
        assert_eq!(again.encode(), record.encode());
    }
}
