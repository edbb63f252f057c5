//! `dohle log-dirs`: what lies in the log directories of brokers, as JSON.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use dohle_client::admin::log_dirs::LogDirDescription;
use dohle_client::{Admin, TopicPartition};
use serde_json::Value;

use crate::arguments::run_tool;
use crate::connect::{ServerArgs, block_on};
use crate::output::stdout;

/// Query log directory usage on brokers.
#[derive(Debug, Parser)]
#[command(name = "dohle log-dirs", version, arg_required_else_help = true)]
struct LogDirsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Describe the log directories
    #[arg(long, required = true)]
    describe: bool,
    /// The topics to describe; all if not given
    #[arg(long, value_name = "TOPIC,...", value_delimiter = ',')]
    topic_list: Vec<String>,
    /// The brokers to ask; all if not given
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    broker_list: Vec<i32>,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, log_dirs)
}

fn log_dirs(args: &LogDirsArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let admin = args.server.admin().await?;
        let existing: Vec<i32> = admin.cluster().metadata().brokers.keys().copied().collect();
        let unknown: Vec<i32> = args.broker_list.iter().copied().filter(|id| !existing.contains(id)).collect();
        anyhow::ensure!(
            unknown.is_empty(),
            "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
            join(&unknown),
            join(&existing)
        );
        let brokers = if args.broker_list.is_empty() {
            existing
        } else {
            args.broker_list.clone()
        };
        let partitions = partitions_of(&admin, &args.topic_list).await?;
        let mut out = stdout();
        writeln!(out, "Querying brokers for log directories information")?;
        let mut described = Vec::new();
        for &id in &brokers {
            described.push((id, admin.describe_log_dirs(id, partitions.as_deref()).await?));
        }
        writeln!(out, "Received log directory information from brokers {}", join(&brokers))?;
        writeln!(out, "{}", to_json(&described))?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The partitions of the given topics; `None` for all.
async fn partitions_of(admin: &Admin, topics: &[String]) -> anyhow::Result<Option<Vec<TopicPartition>>> {
    if topics.is_empty() {
        return Ok(None);
    }
    let known = admin.list_topics().await?;
    let chosen = known.iter().filter(|topic| topics.iter().any(|name| **name == *topic.name));
    let partitions = chosen.flat_map(|topic| {
        topic.partitions.iter().map(|p| TopicPartition {
            topic: topic.name.clone(),
            partition: p.index,
        })
    });
    Ok(Some(partitions.collect()))
}

/// With the fields in Kafka's order, on one line.
fn to_json(brokers: &[(i32, Vec<LogDirDescription>)]) -> String {
    let text = |value: &str| Value::from(value).to_string();
    let list = |items: Vec<String>| format!("[{}]", items.join(","));
    let dir = |dir: &LogDirDescription| {
        let replicas = dir.replicas.iter().map(|replica| {
            format!(
                r#"{{"partition":{},"size":{},"offsetLag":{},"isFuture":{}}}"#,
                text(&replica.partition.to_string()),
                replica.size_bytes,
                replica.offset_lag,
                replica.is_future
            )
        });
        let error = if dir.error.is_none() {
            Value::Null.to_string()
        } else {
            text(dir.error.name())
        };
        format!(
            r#"{{"partitions":{},"error":{error},"logDir":{}}}"#,
            list(replicas.collect()),
            text(&dir.path)
        )
    };
    let broker =
        |(id, dirs): &(i32, Vec<LogDirDescription>)| format!(r#"{{"broker":{id},"logDirs":{}}}"#, list(dirs.iter().map(dir).collect()));
    format!(r#"{{"brokers":{},"version":1}}"#, list(brokers.iter().map(broker).collect()))
}

fn join(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use dohle_client::admin::log_dirs::LogDirReplica;
    use dohle_protocol::ErrorCode;

    use super::*;

    #[test]
    fn the_json_is_that_of_kafka() {
        let replica = LogDirReplica {
            partition: TopicPartition::new("t", 0),
            size_bytes: 92,
            offset_lag: 0,
            is_future: false,
        };
        let dir = |error, replicas| LogDirDescription {
            path: "/a \"b\"".into(),
            error,
            replicas,
        };
        assert_eq!(
            to_json(&[(
                1,
                vec![dir(ErrorCode::None, vec![replica]), dir(ErrorCode::KafkaStorageError, vec![])]
            )]),
            concat!(
                r#"{"brokers":[{"broker":1,"logDirs":["#,
                r#"{"partitions":[{"partition":"t-0","size":92,"offsetLag":0,"isFuture":false}],"error":null,"logDir":"/a \"b\""},"#,
                r#"{"partitions":[],"error":"KAFKA_STORAGE_ERROR","logDir":"/a \"b\""}]}],"version":1}"#
            )
        );
    }
}
