//! Which partition of `__consumer_offsets` a group belongs to. Clients and tools of Kafka compute the same.

/// The partition of a group among `partitions`, of which there is at least one.
pub(super) fn partition_of(group: &str, partitions: i32) -> i32 {
    // As Kafka does it: the one number without a positive counterpart counts as 0.
    java_hash(group).checked_abs().unwrap_or(0) % partitions
}

/// `String.hashCode` of Java.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a JVM.
    #[test]
    fn groups_are_placed_as_kafka_places_them() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("group"), 98_629_247);
        assert_eq!(java_hash("console-consumer-12345"), java_hash("console-consumer-12345"));
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("group", 50), 47);
        // Outside the basic plane a character counts as its two surrogates.
        assert_eq!(java_hash("\u{1F600}"), 0xD83D * 31 + 0xDE00);
    }
}
