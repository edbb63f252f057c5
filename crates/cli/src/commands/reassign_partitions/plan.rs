//! The JSON files of `reassign-partitions`: which replicas each partition is to have, and which topics are to be moved.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use dohle_client::TopicPartition;
use serde_json::Value;

/// The brokers of each partition, the preferred leader first.
pub(super) type Plan = BTreeMap<TopicPartition, Vec<i32>>;

/// A replica may be anywhere on its broker.
const ANY_LOG_DIR: &str = "any";

pub(super) fn parse_plan(text: &str) -> anyhow::Result<Plan> {
    let mut plan = Plan::new();
    for entry in entries(text, "partitions")? {
        let (tp, replicas) = parse_partition(&entry)?;
        anyhow::ensure!(
            plan.insert(tp.clone(), replicas).is_none(),
            "Partition reassignment contains duplicate topic partitions: {tp}"
        );
    }
    Ok(plan)
}

fn parse_partition(entry: &Value) -> anyhow::Result<(TopicPartition, Vec<i32>)> {
    let field = |name: &str| entry.get(name).with_context(|| format!("Missing field {name} in {entry}"));
    let topic = field("topic")?.as_str().context("topic is not a string")?;
    let index = number(field("partition")?).context("partition is not a number")?;
    let tp = TopicPartition::new(topic, index);
    let replicas = field("replicas")?.as_array().context("replicas is not a list")?;
    let replicas: Option<Vec<i32>> = replicas.iter().map(number).collect();
    let replicas = replicas.context("replicas are not numbers")?;
    if let Some(dirs) = entry.get("log_dirs") {
        let dirs = dirs.as_array().context("log_dirs is not a list")?;
        anyhow::ensure!(
            dirs.len() == replicas.len(),
            "Size of replicas list {replicas:?} is different from size of log dirs list for partition {tp}"
        );
        anyhow::ensure!(
            dirs.iter().all(|dir| dir.as_str() == Some(ANY_LOG_DIR)),
            "Replicas are not moved between the directories of a broker: log_dirs of {tp} can only be \"any\""
        );
    }
    Ok((tp, replicas))
}

fn number(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|number| i32::try_from(number).ok())
}

/// What a plan must be to be carried out.
pub(super) fn check_plan(plan: &Plan) -> anyhow::Result<()> {
    anyhow::ensure!(!plan.is_empty(), "Partition reassignment list cannot be empty");
    for (tp, replicas) in plan {
        anyhow::ensure!(!replicas.is_empty(), "Partition replica list cannot be empty");
        let mut seen = BTreeSet::new();
        if let Some(twice) = replicas.iter().find(|id| !seen.insert(**id)) {
            anyhow::bail!("Partition replica lists may not contain duplicate entries: {tp} contains multiple entries for {twice}");
        }
    }
    Ok(())
}

/// The topics of `--topics-to-move-json-file`.
pub(super) fn parse_topics(text: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut topics = BTreeSet::new();
    for entry in entries(text, "topics")? {
        let topic = entry.get("topic").and_then(Value::as_str);
        let topic = topic.with_context(|| format!("Missing field topic in {entry}"))?;
        anyhow::ensure!(
            topics.insert(topic.to_owned()),
            "List of topics to reassign contains duplicate entries: [{topic}]"
        );
    }
    Ok(topics)
}

/// The list of that name; none if there is no such field.
fn entries(text: &str, name: &str) -> anyhow::Result<Vec<Value>> {
    let json: Value = serde_json::from_str(text).context("The input string is not a valid JSON")?;
    let version = json.get("version").map_or(Some(1), Value::as_i64);
    anyhow::ensure!(version == Some(1), "Not supported version field value {version:?}");
    let listed = json.get(name).map(|list| list.as_array().cloned());
    listed
        .unwrap_or_else(|| Some(Vec::new()))
        .with_context(|| format!("{name} is not a list"))
}

/// With the fields in Kafka's order, on one line.
pub(super) fn to_json(plan: &Plan) -> String {
    let partition = |(tp, replicas): (&TopicPartition, &Vec<i32>)| {
        format!(
            r#"{{"topic":{},"partition":{},"replicas":[{}],"log_dirs":[{}]}}"#,
            Value::from(&*tp.topic),
            tp.partition,
            super::join(replicas),
            vec![format!("\"{ANY_LOG_DIR}\""); replicas.len()].join(",")
        )
    };
    let partitions: Vec<String> = plan.iter().map(partition).collect();
    format!(r#"{{"version":1,"partitions":[{}]}}"#, partitions.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_it_is_written() {
        let plan = Plan::from([(TopicPartition::new("t", 0), vec![1, 2]), (TopicPartition::new("t", 10), vec![3])]);
        let text = concat!(
            r#"{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["any","any"]},"#,
            r#"{"topic":"t","partition":10,"replicas":[3],"log_dirs":["any"]}]}"#
        );
        assert_eq!(to_json(&plan), text);
        assert_eq!(parse_plan(text).unwrap(), plan);
        let short = r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1,2]}]}"#;
        assert_eq!(parse_plan(short).unwrap().len(), 1);
        assert_eq!(parse_plan("{}").unwrap(), Plan::new());
    }

    #[test]
    fn what_is_wrong_with_a_plan_is_told() {
        let partition = |rest: &str| format!(r#"{{"partitions":[{{"topic":"t","partition":0,{rest}}}]}}"#);
        for (text, part) in [
            ("nonsense".to_owned(), "not a valid JSON"),
            (r#"{"version":2}"#.to_owned(), "Not supported version"),
            (r#"{"partitions":1}"#.to_owned(), "not a list"),
            (partition(r#""replicas":"x""#), "not a list"),
            (partition(r#""replicas":[1,"x"]"#), "not numbers"),
            (partition(r#""replica":[1]"#), "Missing field replicas"),
            (
                partition(r#""replicas":[1],"log_dirs":["any","any"]"#),
                "different from size of log dirs",
            ),
            (partition(r#""replicas":[1],"log_dirs":["/a"]"#), "can only be \"any\""),
        ] {
            let error = parse_plan(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let twice = r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1]},{"topic":"t","partition":0,"replicas":[2]}]}"#;
        assert!(
            parse_plan(twice)
                .unwrap_err()
                .to_string()
                .contains("duplicate topic partitions: t-0")
        );
    }

    #[test]
    fn a_plan_that_cannot_be_carried_out_is_refused() {
        let check = |replicas: &[i32]| check_plan(&Plan::from([(TopicPartition::new("t", 0), replicas.to_vec())]));
        assert!(check(&[1, 2]).is_ok());
        assert!(check(&[]).unwrap_err().to_string().contains("replica list cannot be empty"));
        assert!(
            check(&[1, 2, 1])
                .unwrap_err()
                .to_string()
                .contains("t-0 contains multiple entries for 1")
        );
        assert!(check_plan(&Plan::new()).is_err());
    }

    #[test]
    fn topics_are_named_once() {
        let topics = parse_topics(r#"{"topics":[{"topic":"b"},{"topic":"a"}],"version":1}"#).unwrap();
        assert_eq!(topics, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        let twice = parse_topics(r#"{"topics":[{"topic":"a"},{"topic":"a"}]}"#).unwrap_err();
        assert!(twice.to_string().contains("duplicate entries: [a]"));
    }
}
