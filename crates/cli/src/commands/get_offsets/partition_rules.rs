//! Which partitions of which topics: `topic1:1,topic2:0-3,topic.*:5-,:-3`. An upper bound is exclusive, as in Kafka's tool.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::topic_pattern::TopicPattern;

#[derive(Debug)]
pub(super) struct PartitionRules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    topic: TopicPattern,
    partitions: Partitions,
}

#[derive(Debug)]
enum Partitions {
    All,
    Set(BTreeSet<i32>),
    Range(Range<i32>),
}

impl PartitionRules {
    pub(super) fn of_set(topic: TopicPattern, partitions: Option<BTreeSet<i32>>) -> PartitionRules {
        PartitionRules(vec![Rule {
            topic,
            partitions: partitions.map_or(Partitions::All, Partitions::Set),
        }])
    }

    pub(super) fn parse(text: &str) -> anyhow::Result<PartitionRules> {
        text.split(',').map(Rule::parse).collect::<anyhow::Result<_>>().map(PartitionRules)
    }

    pub(super) fn matches(&self, topic: &str, partition: i32) -> bool {
        self.0.iter().any(|rule| rule.matches(topic, partition))
    }
}

impl Rule {
    fn parse(text: &str) -> anyhow::Result<Rule> {
        let invalid = || anyhow::anyhow!("Invalid rule specification: {text}");
        let (topic, partitions) = text.split_once(':').unwrap_or((text, ""));
        let number = |text: &str, default: i32| {
            if text.is_empty() {
                Ok(default)
            } else {
                text.parse().map_err(|_| invalid())
            }
        };
        let partitions = match partitions.split_once('-') {
            None if partitions.is_empty() => Partitions::All,
            None => Partitions::Set(BTreeSet::from([number(partitions, 0)?])),
            Some((from, to)) => Partitions::Range(number(from, 0)?..number(to, i32::MAX)?),
        };
        Ok(Rule {
            topic: TopicPattern::new(if topic.is_empty() { ".*" } else { topic })?,
            partitions,
        })
    }

    fn matches(&self, topic: &str, partition: i32) -> bool {
        let chosen = match &self.partitions {
            Partitions::All => true,
            Partitions::Set(set) => set.contains(&partition),
            Partitions::Range(range) => range.contains(&partition),
        };
        chosen && self.topic.matches(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_choose_partitions() {
        let rules = PartitionRules::parse("a:1,b:2-4,c.*:5-,:-1,d").unwrap();
        for (topic, chosen) in [
            ("a", vec![0, 1]),
            ("b", vec![0, 2, 3]),
            ("cc", vec![0, 5, 6]),
            ("d", (0..7).collect()),
            ("e", vec![0]),
        ] {
            let matching: Vec<i32> = (0..7).filter(|&partition| rules.matches(topic, partition)).collect();
            assert_eq!(matching, chosen, "{topic}");
        }
        assert!(PartitionRules::parse("a:x").is_err());
        assert!(PartitionRules::parse("a:1-x").is_err());
    }
}
