//! `dohle topics --describe`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use dohle_client::admin::configs::{ConfigEntry, Resource};
use dohle_client::admin::reassignments::Reassignment;
use dohle_client::admin::topics::{PartitionDescription, TopicDescription};
use dohle_client::{Admin, ClientError, TopicPartition};
use dohle_protocol::id::{TopicId, uuid_from_base64};

use super::{TopicsArgs, existing_topics, missing};

/// Dohle's promise about acknowledged records; shown even where it is the default.
const FLUSH_POLICY: &str = "flush.policy";

pub(super) async fn describe(admin: &Admin, args: &TopicsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let names = match args.topic_id.as_deref() {
        // The zero id stands for all topics.
        Some(id) if parse_id(id)?.is_nil() => existing_topics(admin, args).await?,
        Some(id) => topic_by_id(admin, args, id).await?,
        None => existing_topics(admin, args).await?,
    };
    let mut topics = admin.describe_topics(&names, args.partition_size_limit_per_response).await?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let resources: Vec<Resource> = topics.iter().map(|topic| Resource::Topic(topic.name.clone())).collect();
    let configs = admin.describe_configs(&resources, false).await?;
    let reassignments = ongoing_reassignments(admin, &topics).await?;
    let live: BTreeSet<i32> = admin.cluster().metadata().brokers.keys().copied().collect();
    let reports_partitions =
        args.under_replicated_partitions || args.unavailable_partitions || args.under_min_isr_partitions || args.at_min_isr_partitions;
    for (topic, configs) in topics.iter().zip(&configs) {
        let overridden = configs.iter().any(|entry| !entry.is_default());
        if !reports_partitions && (!args.topics_with_overrides || overridden) {
            let first = reassignments.get(&TopicPartition::new(topic.name.as_str(), 0));
            write_topic(out, topic, first, configs)?;
        }
        if args.topics_with_overrides {
            continue;
        }
        for partition in &topic.partitions {
            let reassignment = reassignments.get(&TopicPartition::new(topic.name.as_str(), partition.index));
            if !reports_partitions || is_reported(args, (partition, reassignment), configs, &live) {
                write_partition(out, &topic.name, (partition, reassignment))?;
            }
        }
    }
    Ok(())
}

/// A partition, and where its replicas are moved to.
type Described<'a> = (&'a PartitionDescription, Option<&'a Reassignment>);

/// What goes on in these topics, as far as the server tells.
async fn ongoing_reassignments(admin: &Admin, topics: &[TopicDescription]) -> anyhow::Result<BTreeMap<TopicPartition, Reassignment>> {
    if topics.is_empty() {
        return Ok(BTreeMap::new());
    }
    let partitions = topics.iter().flat_map(|topic| {
        let indexes = topic.partitions.iter().map(|partition| partition.index);
        indexes.map(|index| TopicPartition::new(topic.name.as_str(), index))
    });
    match admin.list_reassignments(Some(&partitions.collect())).await {
        Err(ClientError::Unsupported { .. }) => Ok(BTreeMap::new()),
        listed => Ok(listed?),
    }
}

/// How many replicas there are to be: those that are being added come in the place of others, or are not there yet.
fn replication_factor((partition, reassignment): Described<'_>) -> usize {
    reassignment.map_or(partition.replicas.len(), |moving| moving.replicas.len() - moving.adding.len())
}

fn parse_id(text: &str) -> anyhow::Result<uuid::Uuid> {
    uuid_from_base64(text).ok_or_else(|| anyhow::anyhow!("Input string `{text}` is not the 22 characters of a base64-encoded UUID"))
}

async fn topic_by_id(admin: &Admin, args: &TopicsArgs, id: &str) -> anyhow::Result<Vec<String>> {
    let wanted = parse_id(id)?;
    let found = admin.list_topics().await?.into_iter().find(|topic| topic.id == wanted);
    match found {
        Some(topic) => Ok(vec![topic.name.to_string()]),
        None if args.if_exists => Ok(Vec::new()),
        None => Err(missing(id).into()),
    }
}

fn is_reported(args: &TopicsArgs, described: Described<'_>, configs: &[ConfigEntry], live: &BTreeSet<i32>) -> bool {
    let (partition, _) = described;
    let in_sync = partition.in_sync.len();
    let min_in_sync = configs
        .iter()
        .find(|entry| entry.name == "min.insync.replicas")
        .and_then(|entry| entry.value.as_deref());
    let min_in_sync: usize = min_in_sync.and_then(|value| value.parse().ok()).unwrap_or(1);
    (args.under_replicated_partitions && in_sync < replication_factor(described))
        || (args.unavailable_partitions && !live.contains(&partition.leader))
        || (args.under_min_isr_partitions && (partition.leader < 0 || in_sync < min_in_sync))
        || (args.at_min_isr_partitions && in_sync == min_in_sync)
}

fn write_topic(out: &mut impl Write, topic: &TopicDescription, first: Option<&Reassignment>, configs: &[ConfigEntry]) -> io::Result<()> {
    let shown = configs.iter().filter(|entry| !entry.is_default() || entry.name == FLUSH_POLICY);
    let shown: Vec<String> = shown
        .map(|entry| format!("{}={}", entry.name, entry.value.as_deref().unwrap_or("null")))
        .collect();
    write!(out, "Topic: {}", topic.name)?;
    if !topic.id.is_nil() {
        write!(out, "\tTopicId: {}", TopicId(topic.id))?;
    }
    let replication_factor = topic
        .partitions
        .first()
        .map_or(0, |partition| replication_factor((partition, first)));
    writeln!(
        out,
        "\tPartitionCount: {}\tReplicationFactor: {replication_factor}\tConfigs: {}",
        topic.partitions.len(),
        shown.join(",")
    )
}

fn write_partition(out: &mut impl Write, topic: &str, (partition, reassignment): Described<'_>) -> io::Result<()> {
    let leader = if partition.leader >= 0 {
        partition.leader.to_string()
    } else {
        "none".to_owned()
    };
    let moves = reassignment.map(|moving| {
        format!(
            "\tAdding Replicas: {}\tRemoving Replicas: {}",
            join(&moving.adding),
            join(&moving.removing)
        )
    });
    let optional = |ids: &Option<Vec<i32>>| ids.as_ref().map_or_else(|| "N/A".to_owned(), |ids| join(ids));
    writeln!(
        out,
        "\tTopic: {topic}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}{}\tElr: {}\tLastKnownElr: {}",
        partition.index,
        join(&partition.replicas),
        join(&partition.in_sync),
        moves.unwrap_or_default(),
        optional(&partition.eligible),
        optional(&partition.last_known_eligible),
    )
}

fn join(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use dohle_client::admin::configs::ConfigSource;
    use uuid::Uuid;

    use super::*;

    fn partition() -> PartitionDescription {
        PartitionDescription {
            index: 0,
            leader: 1,
            replicas: vec![1, 2],
            in_sync: vec![1],
            eligible: Some(vec![]),
            last_known_eligible: None,
        }
    }

    #[test]
    fn a_topic_looks_as_kafka_prints_it() {
        let topic = TopicDescription {
            name: "t".into(),
            id: Uuid::from_u128(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210),
            is_internal: false,
            partitions: vec![partition()],
        };
        let entry = |name: &str, value: &str, source| ConfigEntry {
            name: name.into(),
            value: Some(value.into()),
            source,
            is_sensitive: false,
            is_read_only: false,
            synonyms: vec![],
        };
        let configs = [
            entry("cleanup.policy", "compact", ConfigSource::Topic),
            entry("retention.ms", "604800000", ConfigSource::Default),
            entry("flush.policy", "commit", ConfigSource::Default),
        ];
        let mut out = Vec::new();
        write_topic(&mut out, &topic, None, &configs).unwrap();
        write_partition(&mut out, &topic.name, (&topic.partitions[0], None)).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Topic: t\tTopicId: ASNFZ4mrze_-3LqYdlQyEA\tPartitionCount: 1\tReplicationFactor: 2\tConfigs: cleanup.policy=compact,flush.policy=commit\n\
             \tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 1,2\tIsr: 1\tElr: \tLastKnownElr: N/A\n"
        );
    }
    #[test]
    fn replicas_on_the_move_are_told_and_count_once() {
        let moved = Reassignment {
            replicas: vec![3, 1, 2],
            adding: vec![3],
            removing: vec![2],
        };
        let described = PartitionDescription {
            replicas: vec![3, 1, 2],
            in_sync: vec![1, 2],
            ..partition()
        };
        let mut out = Vec::new();
        write_partition(&mut out, "t", (&described, Some(&moved))).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "\tTopic: t\tPartition: 0\tLeader: 1\tReplicas: 3,1,2\tIsr: 1,2\tAdding Replicas: 3\tRemoving Replicas: 2\tElr: \tLastKnownElr: N/A\n"
        );
        assert_eq!(replication_factor((&described, Some(&moved))), 2);
        assert_eq!(replication_factor((&described, None)), 3);
    }
}
