//! Newtypes for the numbers that must not be mixed up: offsets, epochs, and the ids of brokers, topics and producers.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// Position of a record in its partition; also log start, high watermark, last stable and log end offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub i64);

impl Offset {
    /// "No offset": what the protocol writes where there is none.
    pub const NONE: Offset = Offset(-1);
    pub const ZERO: Offset = Offset(0);
}

impl Add<i64> for Offset {
    type Output = Offset;
    fn add(self, records: i64) -> Offset {
        Offset(self.0 + records)
    }
}

impl AddAssign<i64> for Offset {
    fn add_assign(&mut self, records: i64) {
        self.0 += records;
    }
}

impl Sub<Offset> for Offset {
    type Output = i64;
    fn sub(self, earlier: Offset) -> i64 {
        self.0 - earlier.0
    }
}

impl Sub<i64> for Offset {
    type Output = Offset;
    fn sub(self, records: i64) -> Offset {
        Offset(self.0 - records)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), none = $none:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// What the protocol writes where there is none.
            pub const NONE: $name = $name($none);

            pub fn is_none(self) -> bool {
                self == Self::NONE
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// Counts the leaders a partition has had (KIP-101).
    LeaderEpoch(i32), none = -1
);
id!(
    /// Node id of a broker or controller.
    BrokerId(i32), none = -1
);
id!(
    /// Index of a partition in its topic.
    PartitionIndex(i32), none = -1
);
id!(
    /// Id under which a producer numbers its batches (KIP-98).
    ProducerId(i64), none = -1
);
id!(
    /// Fences older incarnations of one producer id.
    ProducerEpoch(i16), none = -1
);

/// Id of one incarnation of a topic (KIP-516); printed as Kafka prints it, in URL-safe base64 without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub uuid::Uuid);

impl TopicId {
    /// The zero id: "no id given".
    pub const ZERO: TopicId = TopicId(uuid::Uuid::nil());

    pub fn is_zero(self) -> bool {
        self.0.is_nil()
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&uuid_to_base64(&self.0))
    }
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The 22 characters in which Kafka prints a UUID.
pub fn uuid_to_base64(id: &uuid::Uuid) -> String {
    let value = id.as_u128();
    // 22 characters of 6 bits hold 132 bits: the last character carries the low two bits of the id, shifted left by four.
    (0..22)
        .map(|position| {
            let shift = 122 - 6 * position;
            let six_bits = if shift >= 0 { value >> shift } else { value << -shift };
            BASE64_URL[(six_bits & 63) as usize] as char
        })
        .collect()
}

/// The inverse of [`uuid_to_base64`]; `None` for anything else than 22 characters of the URL-safe alphabet.
pub fn uuid_from_base64(text: &str) -> Option<uuid::Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut value: u128 = 0;
    for (position, character) in text.bytes().enumerate() {
        let six_bits = BASE64_URL.iter().position(|&c| c == character)? as u128;
        value = if position == 21 {
            value << 2 | six_bits >> 4
        } else {
            value << 6 | six_bits
        };
    }
    Some(uuid::Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_text_is_what_kafka_prints() {
        let id = uuid::Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210);
        assert_eq!(uuid_to_base64(&id), "ASNFZ4mrze_-3LqYdlQyEA");
        assert_eq!(uuid_from_base64("ASNFZ4mrze_-3LqYdlQyEA"), Some(id));
        assert_eq!(uuid_from_base64("ASNFZ4mrze_-3LqYdlQyE"), None);
        assert_eq!(uuid_from_base64("ASNFZ4mrze/+3LqYdlQyEA"), None);
    }
}
