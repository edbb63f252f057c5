//! What `--topic` names: a topic with all its partitions, or some of them as in `topic:0,1`.

use std::collections::BTreeSet;

use dohle_client::{Admin, ClientError, TopicPartition};

use crate::arguments::usage;

/// Partitions per answer of the server; any number does.
const PARTITIONS_PER_ANSWER: i32 = 2000;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TopicArgument {
    pub(super) topic: String,
    /// `None`: all of them.
    pub(super) partitions: Option<Vec<i32>>,
}

impl TopicArgument {
    pub(super) fn parse(argument: &str) -> anyhow::Result<TopicArgument> {
        let Some((topic, list)) = argument.split_once(':') else {
            return Ok(TopicArgument {
                topic: argument.to_owned(),
                partitions: None,
            });
        };
        if topic.is_empty() || list.is_empty() || list.contains(':') {
            return usage(format!("Invalid topic arg '{argument}', expected topic name and partitions"));
        }
        let mut partitions = Vec::new();
        for text in list.split(',') {
            match text.parse() {
                Ok(partition) => partitions.push(partition),
                Err(_) => return usage(format!("Invalid partition '{text}' specified in topic arg '{argument}'")),
            }
        }
        Ok(TopicArgument {
            topic: topic.to_owned(),
            partitions: Some(partitions),
        })
    }
}

/// All partitions of a topic.
pub(super) async fn partitions_of(admin: &Admin, topic: &str) -> Result<BTreeSet<TopicPartition>, ClientError> {
    let described = admin.describe_topics(&[topic.to_owned()], PARTITIONS_PER_ANSWER).await?;
    let partitions = described.iter().flat_map(|topic| &topic.partitions);
    Ok(partitions.map(|partition| TopicPartition::new(topic, partition.index)).collect())
}

/// The partitions that the arguments name; each must exist.
pub(super) async fn named_partitions(admin: &Admin, arguments: &[String]) -> anyhow::Result<BTreeSet<TopicPartition>> {
    let mut named = BTreeSet::new();
    for argument in arguments {
        let TopicArgument { topic, partitions } = TopicArgument::parse(argument)?;
        let existing = partitions_of(admin, &topic).await?;
        let Some(partitions) = partitions else {
            named.extend(existing);
            continue;
        };
        let chosen = partitions
            .into_iter()
            .map(|partition| TopicPartition::new(topic.as_str(), partition));
        let (known, unknown): (BTreeSet<_>, BTreeSet<_>) = chosen.partition(|tp| existing.contains(tp));
        let unknown: Vec<String> = unknown.iter().map(TopicPartition::to_string).collect();
        anyhow::ensure!(unknown.is_empty(), "The partitions \"{}\" do not exist", unknown.join(", "));
        named.extend(known);
    }
    Ok(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_may_name_its_partitions() {
        let parsed = |argument| TopicArgument::parse(argument).map_err(|error| error.to_string());
        let expected = |partitions: Option<&[i32]>| {
            Ok(TopicArgument {
                topic: "t".into(),
                partitions: partitions.map(<[i32]>::to_vec),
            })
        };
        assert_eq!(parsed("t"), expected(None));
        assert_eq!(parsed("t:0,12"), expected(Some(&[0, 12])));
        assert_eq!(parsed("t:x"), Err("Invalid partition 'x' specified in topic arg 't:x'".into()));
        for wrong in ["t:", ":0", "t:0:1"] {
            assert!(parsed(wrong).unwrap_err().contains("expected topic name and partitions"), "{wrong}");
        }
    }
}
