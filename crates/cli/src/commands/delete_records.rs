//! `dohle delete-records`: moves the start of partitions to the offsets that a JSON file gives.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use dohle_client::TopicPartition;
use serde_json::Value;

use crate::arguments::run_tool;
use crate::connect::{ServerArgs, block_on};
use crate::output::stdout;

/// Delete the records of partitions below given offsets.
#[derive(Debug, Parser)]
#[command(name = "dohle delete-records", version, arg_required_else_help = true)]
struct DeleteArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Offsets per partition, -1 for the high watermark:
    /// {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version": 1}
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    offset_json_file: PathBuf,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, delete)
}

fn delete(args: &DeleteArgs) -> anyhow::Result<ExitCode> {
    let offsets = read_offsets(&args.offset_json_file)?;
    block_on(async {
        let admin = args.server.admin().await?;
        let mut out = stdout();
        writeln!(out, "Executing records delete operation")?;
        let results = admin.delete_records(&offsets).await;
        writeln!(out, "Records delete operation completed:")?;
        for (tp, result) in results {
            match result {
                Ok(low_watermark) => writeln!(out, "partition: {tp}\tlow_watermark: {low_watermark}")?,
                Err(error) => writeln!(out, "partition: {tp}\terror: {error}")?,
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

fn read_offsets(file: &Path) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("Unable to read file {}", file.display()))?;
    parse_offsets(&text).with_context(|| format!("{} is not usable", file.display()))
}

fn parse_offsets(text: &str) -> anyhow::Result<BTreeMap<TopicPartition, i64>> {
    let json: Value = serde_json::from_str(text).context("The input string is not a valid JSON")?;
    let version = json.get("version").map_or(Some(1), Value::as_i64);
    anyhow::ensure!(version == Some(1), "Not supported version field value {version:?}");
    let partitions = json
        .get("partitions")
        .and_then(Value::as_array)
        .context("Missing partitions field")?;
    let mut offsets = BTreeMap::new();
    for entry in partitions {
        let field = |name: &str| entry.get(name).with_context(|| format!("Missing field {name} in {entry}"));
        let topic = field("topic")?.as_str().context("topic is not a string")?;
        let partition = field("partition")?
            .as_i64()
            .and_then(|index| i32::try_from(index).ok())
            .context("partition is not a number")?;
        let offset = field("offset")?.as_i64().context("offset is not a number")?;
        let tp = TopicPartition::new(topic, partition);
        anyhow::ensure!(
            offsets.insert(tp.clone(), offset).is_none(),
            "Offset json file contains duplicate topic partitions: {tp}"
        );
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_partitions_and_offsets() {
        let offsets = parse_offsets(r#"{"partitions":[{"topic":"t","partition":1,"offset":-1}],"version":1}"#).unwrap();
        assert_eq!(offsets, BTreeMap::from([(TopicPartition::new("t", 1), -1)]));
    }

    #[test]
    fn what_is_wrong_with_the_file_is_told() {
        for (text, part) in [
            ("nonsense", "not a valid JSON"),
            ("{}", "Missing partitions"),
            (r#"{"partitions":[],"version":2}"#, "Not supported version"),
            (r#"{"partitions":[{"topic":"t","partition":1}]}"#, "Missing field offset"),
            (
                r#"{"partitions":[{"topic":"t","partition":"x","offset":1}]}"#,
                "partition is not a number",
            ),
            (
                r#"{"partitions":[{"topic":"t","partition":1,"offset":1},{"topic":"t","partition":1,"offset":2}]}"#,
                "duplicate topic partitions: t-1",
            ),
        ] {
            let error = parse_offsets(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
