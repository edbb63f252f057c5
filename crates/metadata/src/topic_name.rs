//! What a topic may be called.

use crate::limits::TOPIC_NAME_BYTES_MAX;

/// Groups, and how far they have read.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";

/// Transactions.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Topics that brokers keep for themselves.
const INTERNAL: [&str; 3] = [CONSUMER_OFFSETS, TRANSACTION_STATE, "__share_group_state"];

/// The log of the metadata, which is no topic.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Why a topic cannot be called `name`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicName {
    #[error("Topic name is invalid: the empty string is not allowed")]
    Empty,
    #[error("Topic name is invalid: '{0}' is not allowed")]
    Dots(&'static str),
    #[error("Topic name is invalid: the length of '{start}...' is longer than the max allowed length {TOPIC_NAME_BYTES_MAX}")]
    TooLong { start: String },
    #[error("Topic name is invalid: '{0}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")]
    Character(String),
}

pub fn validate(name: &str) -> Result<(), InvalidTopicName> {
    match name {
        "" => Err(InvalidTopicName::Empty),
        "." => Err(InvalidTopicName::Dots(".")),
        ".." => Err(InvalidTopicName::Dots("..")),
        _ if name.chars().count() > TOPIC_NAME_BYTES_MAX => Err(InvalidTopicName::TooLong {
            start: name.chars().take(TOPIC_NAME_BYTES_MAX).collect(),
        }),
        _ if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) => {
            Err(InvalidTopicName::Character(name.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether brokers keep the topic for themselves.
pub fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

/// The name as a metric has it, if that could be the name of another topic's metric too.
pub(crate) fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn w18_trap_27_names_that_are_no_topic_names() {
        for name in ["../../etc/x", ".", "..", "", "a/b", "a\0", "토픽", "a b", &"a".repeat(250)] {
            assert!(validate(name).is_err(), "{name:?}");
        }
        for name in ["a", "A.b_c-9", "...", &"a".repeat(249), "__consumer_offsets"] {
            assert_eq!(validate(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_long_name_is_not_repeated_in_full() {
        let error = validate(&"é".repeat(1 << 20)).unwrap_err().to_string();
        assert!(
            error.len() < 700 && error.ends_with("longer than the max allowed length 249"),
            "{error}"
        );
    }
}
