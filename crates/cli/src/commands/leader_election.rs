//! `dohle leader-election`: makes preferred replicas lead, or whoever is alive where nobody in sync is.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use dohle_client::TopicPartition;
use dohle_client::admin::PerPartition;
use dohle_client::admin::elections::Election;
use dohle_protocol::ErrorCode;
use serde_json::Value;

use crate::arguments::run_tool;
use crate::connect::{Bootstrap, block_on, connect_admin};
use crate::output::stdout;

/// Elect other leaders for partitions.
#[derive(Debug, Parser)]
#[command(name = "dohle leader-election", version, arg_required_else_help = true)]
struct ElectionArgs {
    /// The server(s) to connect to
    #[arg(long, value_name = "HOST:PORT,...", default_value = "localhost:9092")]
    bootstrap_server: String,
    /// Property file with settings for the client
    #[arg(long = "admin.config", visible_alias = "command-config", value_name = "FILE")]
    admin_config: Option<PathBuf>,
    /// The replica to elect: preferred, if another one leads; unclean, if none leads (records may be lost)
    #[arg(long, value_name = "TYPE", ignore_case = true)]
    election_type: ElectionType,
    /// The topic of the partition
    #[arg(long, requires = "partition")]
    topic: Option<String>,
    /// The partition
    #[arg(long, value_name = "INDEX", requires = "topic")]
    partition: Option<i32>,
    /// All partitions that need it
    #[arg(long)]
    all_topic_partitions: bool,
    /// Partitions as JSON: {"partitions": [{"topic": "foo", "partition": 1}]}
    #[arg(long, value_name = "FILE")]
    path_to_json_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ElectionType {
    Preferred,
    Unclean,
}

impl ElectionType {
    /// As Kafka prints it.
    fn name(self) -> &'static str {
        match self {
            ElectionType::Preferred => "PREFERRED",
            ElectionType::Unclean => "UNCLEAN",
        }
    }
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, elect)
}

fn elect(args: &ElectionArgs) -> anyhow::Result<ExitCode> {
    let partitions = partitions(args)?;
    let election = match args.election_type {
        ElectionType::Preferred => Election::Preferred,
        ElectionType::Unclean => Election::Unclean,
    };
    let outcomes = block_on(async {
        let admin = connect_admin(Bootstrap::Servers(&args.bootstrap_server), args.admin_config.as_ref()).await?;
        Ok(admin.elect_leaders(election, partitions.as_ref()).await?)
    })?;
    let mut out = stdout();
    let failed = report(&mut out, args.election_type.name(), &outcomes)?;
    out.flush()?;
    anyhow::ensure!(failed == 0, "{failed} replica(s) could not be elected");
    Ok(ExitCode::SUCCESS)
}

/// `None`: all.
fn partitions(args: &ElectionArgs) -> anyhow::Result<Option<BTreeSet<TopicPartition>>> {
    match (&args.topic, args.all_topic_partitions, &args.path_to_json_file) {
        (Some(topic), false, None) => {
            let index = args.partition.context("Missing required option(s): partition")?;
            Ok(Some(BTreeSet::from([TopicPartition::new(topic.as_str(), index)])))
        }
        (None, true, None) => Ok(None),
        (None, false, Some(file)) => read_partitions(file).map(Some),
        _ => anyhow::bail!("One and only one of the following options is required: topic, all-topic-partitions, path-to-json-file"),
    }
}

fn read_partitions(file: &Path) -> anyhow::Result<BTreeSet<TopicPartition>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("Unable to read file {}", file.display()))?;
    parse_partitions(&text)
}

fn parse_partitions(text: &str) -> anyhow::Result<BTreeSet<TopicPartition>> {
    let json: Value = serde_json::from_str(text).context("Replica election data is empty")?;
    let listed = json.get("partitions").and_then(Value::as_array);
    let mut partitions = BTreeSet::new();
    for entry in listed.context("Replica election data is missing \"partitions\" field")? {
        let topic = entry.get("topic").and_then(Value::as_str);
        let index = entry
            .get("partition")
            .and_then(Value::as_i64)
            .and_then(|index| i32::try_from(index).ok());
        let (Some(topic), Some(index)) = (topic, index) else {
            anyhow::bail!("{entry} names no topic and partition");
        };
        let tp = TopicPartition::new(topic, index);
        anyhow::ensure!(
            partitions.insert(tp.clone()),
            "Replica election data contains duplicate partitions: [{tp}]"
        );
    }
    Ok(partitions)
}

/// Returns how many elections have failed.
fn report(out: &mut impl Write, election: &str, outcomes: &PerPartition) -> io::Result<usize> {
    let mut succeeded = Vec::new();
    let mut not_needed = Vec::new();
    let mut failed = Vec::new();
    for (tp, outcome) in outcomes {
        match outcome {
            Ok(()) => succeeded.push(tp.to_string()),
            Err(error) if error.code() == Some(ErrorCode::ElectionNotNeeded) => not_needed.push(tp.to_string()),
            Err(error) => failed.push((tp, error)),
        }
    }
    if !succeeded.is_empty() {
        let partitions = succeeded.join(", ");
        writeln!(
            out,
            "Successfully completed leader election ({election}) for partitions {partitions}"
        )?;
    }
    if !not_needed.is_empty() {
        writeln!(out, "Valid replica already elected for partitions {}", not_needed.join(", "))?;
    }
    for (tp, error) in &failed {
        writeln!(out, "Error completing leader election ({election}) for partition: {tp}: {error}")?;
    }
    Ok(failed.len())
}

#[cfg(test)]
mod tests {
    use dohle_client::ClientError;

    use super::*;

    fn chosen(arguments: &[&str]) -> Result<Option<BTreeSet<TopicPartition>>, String> {
        let all = [&["leader-election", "--election-type", "Preferred"], arguments].concat();
        let args = ElectionArgs::try_parse_from(all).map_err(|error| error.to_string())?;
        partitions(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn partitions_are_named_in_exactly_one_way() {
        let one = BTreeSet::from([TopicPartition::new("t", 3)]);
        assert_eq!(chosen(&["--topic", "t", "--partition", "3"]), Ok(Some(one)));
        assert_eq!(chosen(&["--all-topic-partitions"]), Ok(None));
        for wrong in [
            &["--topic", "t"][..],
            &[],
            &["--partition", "3"],
            &["--all-topic-partitions", "--topic", "t", "--partition", "3"],
            &["--path-to-json-file", "/nowhere"],
        ] {
            assert!(chosen(wrong).is_err(), "{wrong:?}");
        }
        let no_type = ElectionArgs::try_parse_from(["leader-election", "--all-topic-partitions"]);
        assert!(no_type.unwrap_err().to_string().contains("--election-type"));
    }

    #[test]
    fn the_file_names_partitions_once() {
        let text = r#"{"partitions": [{"topic": "a", "partition": 1}, {"topic": "b", "partition": 0}]}"#;
        let expected = BTreeSet::from([TopicPartition::new("a", 1), TopicPartition::new("b", 0)]);
        assert_eq!(parse_partitions(text).unwrap(), expected);
        for (text, part) in [
            ("", "is empty"),
            ("{}", "missing \"partitions\""),
            (r#"{"partitions": [{"topic": "a"}]}"#, "names no topic and partition"),
            (
                r#"{"partitions": [{"topic": "a", "partition": 1}, {"topic": "a", "partition": 1}]}"#,
                "duplicate partitions: [a-1]",
            ),
        ] {
            let error = parse_partitions(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_report_is_that_of_kafka() {
        let refused = |code: ErrorCode| Err(ClientError::refused(code.code(), Some("why".into())));
        let outcomes = PerPartition::from([
            (TopicPartition::new("t", 0), Ok(())),
            (TopicPartition::new("t", 1), Ok(())),
            (TopicPartition::new("t", 2), refused(ErrorCode::ElectionNotNeeded)),
            (TopicPartition::new("t", 3), refused(ErrorCode::PreferredLeaderNotAvailable)),
        ]);
        let mut out = Vec::new();
        assert_eq!(report(&mut out, "PREFERRED", &outcomes).unwrap(), 1);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "Successfully completed leader election (PREFERRED) for partitions t-0, t-1\n\
             Valid replica already elected for partitions t-2\n\
             Error completing leader election (PREFERRED) for partition: t-3: why\n"
        );
    }
}
