//! `dohle get-offsets`: Kafka's GetOffsetShell.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dohle_client::TopicPartition;
use dohle_client::admin::offsets::at;
use dohle_client::config::IsolationLevel;

use crate::arguments::run_tool_reporting;
use crate::connect::{Bootstrap, block_on, connect_admin};
use crate::output::stdout;
use crate::topic_pattern::TopicPattern;

mod partition_rules;

use partition_rules::PartitionRules;

/// Print the offsets of partitions.
#[derive(Debug, Parser)]
#[command(name = "dohle get-offsets", version)]
struct OffsetsArgs {
    /// The server(s) to connect to
    #[arg(
        long,
        visible_alias = "broker-list",
        value_name = "HOST:PORT,...",
        default_value = "localhost:9092"
    )]
    bootstrap_server: String,
    /// Property file with settings for the client
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// Regular expression of the topics; all if not given
    #[arg(long, value_name = "REGEX")]
    topic: Option<String>,
    /// The partitions; all if not given
    #[arg(long, value_name = "ID,...")]
    partitions: Option<String>,
    /// Patterns of topics and their partitions, for example topic1:1,topic2:0-3,topic.*:5-,:-3
    #[arg(long, value_name = "PATTERN,...")]
    topic_partitions: Option<String>,
    /// A time in ms, or -1 or latest, -2 or earliest, -3 or max-timestamp, -4 or earliest-local, -5 or latest-tiered,
    /// -6 or earliest-pending-upload
    #[arg(long, value_name = "TIME", default_value = "latest", allow_hyphen_values = true)]
    time: String,
    /// Leave out internal topics
    #[arg(long)]
    exclude_internal_topics: bool,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool_reporting(arguments, get_offsets, |error| eprintln!("Error occurred: {error:#}"))
}

fn get_offsets(args: &OffsetsArgs) -> anyhow::Result<ExitCode> {
    let rules = rules(args)?;
    let time = parse_time(&args.time)?;
    block_on(async {
        let admin = connect_admin(Bootstrap::Servers(&args.bootstrap_server), args.command_config.as_ref()).await?;
        let mut wanted = BTreeMap::new();
        for topic in admin
            .list_topics()
            .await?
            .iter()
            .filter(|topic| !(topic.is_internal && args.exclude_internal_topics))
        {
            let matching = topic
                .partitions
                .iter()
                .filter(|partition| rules.matches(&topic.name, partition.index));
            wanted.extend(matching.map(|partition| {
                (
                    TopicPartition {
                        topic: topic.name.clone(),
                        partition: partition.index,
                    },
                    time,
                )
            }));
        }
        anyhow::ensure!(
            !wanted.is_empty(),
            "Could not match any topic-partitions with the specified filters"
        );
        let found = admin.list_offsets(&wanted, IsolationLevel::ReadUncommitted).await?;
        // Kafka sorts by the text "topic-partition".
        let mut sorted: Vec<(String, _)> = found.iter().map(|(tp, answer)| (tp.to_string(), (tp, answer))).collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let mut out = stdout();
        for (name, (tp, answer)) in sorted {
            match answer {
                Ok(found) if found.offset < 0 => {}
                Ok(found) => writeln!(out, "{}:{}:{}", tp.topic, tp.partition, found.offset)?,
                Err(error) => eprintln!("Skip getting offsets for topic-partition {name} due to error: {error}"),
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

fn rules(args: &OffsetsArgs) -> anyhow::Result<PartitionRules> {
    match &args.topic_partitions {
        Some(patterns) => {
            anyhow::ensure!(
                args.topic.is_none() && args.partitions.is_none(),
                "--topic-partitions cannot be used with --topic or --partitions"
            );
            PartitionRules::parse(patterns)
        }
        None => {
            let topic = TopicPattern::new(args.topic.as_deref().unwrap_or(".*"))?;
            let partitions = args
                .partitions
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(parse_partitions)
                .transpose()?;
            Ok(PartitionRules::of_set(topic, partitions))
        }
    }
}

fn parse_partitions(text: &str) -> anyhow::Result<BTreeSet<i32>> {
    let ids = text.split(',').map(str::parse);
    ids.collect::<Result<_, _>>()
        .map_err(|_| anyhow::anyhow!("--partitions expects a comma separated list of numeric partition ids, but received: {text}"))
}

fn parse_time(text: &str) -> anyhow::Result<i64> {
    match text {
        "latest" => Ok(at::LATEST),
        "earliest" => Ok(at::EARLIEST),
        "max-timestamp" => Ok(at::MAX_TIMESTAMP),
        "earliest-local" => Ok(at::EARLIEST_LOCAL),
        "latest-tiered" => Ok(at::LATEST_TIERED),
        "earliest-pending-upload" => Ok(at::EARLIEST_PENDING_UPLOAD),
        number => number.parse().map_err(|_| {
            anyhow::anyhow!(
                "Malformed time argument {text}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / \
                 -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format timestamp"
            )
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_by_name_and_by_number() {
        for (name, number) in [
            ("latest", "-1"),
            ("earliest", "-2"),
            ("max-timestamp", "-3"),
            ("earliest-local", "-4"),
            ("latest-tiered", "-5"),
        ] {
            assert_eq!(parse_time(name).unwrap(), number.parse::<i64>().unwrap());
            assert_eq!(parse_time(number).unwrap(), parse_time(name).unwrap());
        }
        assert_eq!(parse_time("1500000000000").unwrap(), 1_500_000_000_000);
        assert!(parse_time("xx").unwrap_err().to_string().contains("Malformed time argument xx"));
    }
}
