//! `dohle topics`: Kafka's TopicCommand.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use dohle_client::Admin;
use dohle_client::ClientError;
use dohle_client::admin::topics::NewTopic;
use dohle_protocol::ErrorCode;

use crate::arguments::{run_tool_reporting, usage};
use crate::connect::{ServerArgs, block_on};
use crate::output::stdout;
use crate::topic_pattern::TopicPattern;

mod describe;

/// Create, delete, describe, or change a topic.
#[derive(Debug, Parser)]
#[command(name = "dohle topics", version, arg_required_else_help = true)]
struct TopicsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// List all available topics
    #[arg(long, help_heading = "Actions")]
    list: bool,
    /// Create a new topic
    #[arg(long, help_heading = "Actions")]
    create: bool,
    /// Delete topics
    #[arg(long, help_heading = "Actions")]
    delete: bool,
    /// Raise the number of partitions (configurations are altered with the configs tool)
    #[arg(long, help_heading = "Actions")]
    alter: bool,
    /// List details for the given topics
    #[arg(long, help_heading = "Actions")]
    describe: bool,
    /// The topic; a regular expression except with --create
    #[arg(long)]
    topic: Option<String>,
    /// The id of the topic to describe
    #[arg(long)]
    topic_id: Option<String>,
    /// A configuration of the topic being created, also several times
    #[arg(long, value_name = "NAME=VALUE")]
    config: Vec<String>,
    /// No longer supported since Kafka 4.0; use the configs tool
    #[arg(long, value_name = "NAME")]
    delete_config: Vec<String>,
    /// The number of partitions; the cluster's default if not given with --create
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    partitions: Option<i32>,
    /// The number of replicas of each partition; the cluster's default if not given
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    replication_factor: Option<i32>,
    /// Brokers of each partition, for example 1:2,2:3 for two partitions with two replicas
    #[arg(long, value_name = "BROKERS")]
    replica_assignment: Option<String>,
    /// Only show partitions with fewer in-sync replicas than replicas
    #[arg(long, help_heading = "Describe only")]
    under_replicated_partitions: bool,
    /// Only show partitions whose leader is not available
    #[arg(long, help_heading = "Describe only")]
    unavailable_partitions: bool,
    /// Only show partitions with fewer in-sync replicas than min.insync.replicas
    #[arg(long, help_heading = "Describe only")]
    under_min_isr_partitions: bool,
    /// Only show partitions with exactly min.insync.replicas in-sync replicas
    #[arg(long, help_heading = "Describe only")]
    at_min_isr_partitions: bool,
    /// Only show topics whose configuration differs from the default
    #[arg(long, help_heading = "Describe only")]
    topics_with_overrides: bool,
    /// Partitions in one answer of the server
    #[arg(long, value_name = "COUNT", default_value_t = 2000, help_heading = "Describe only")]
    partition_size_limit_per_response: i32,
    /// Do nothing if the topic does not exist
    #[arg(long)]
    if_exists: bool,
    /// Do nothing if the topic to create exists already
    #[arg(long)]
    if_not_exists: bool,
    /// Leave out internal topics
    #[arg(long)]
    exclude_internal: bool,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool_reporting(arguments, topics, |error| {
        println!("Error while executing topic command : {error:#}")
    })
}

fn topics(args: &TopicsArgs) -> anyhow::Result<ExitCode> {
    check(args)?;
    if !args.delete_config.is_empty() {
        eprintln!("delete-config option is no longer supported and deprecated since version 4.0: use the configs tool.");
    }
    block_on(async {
        let admin = args.server.admin().await?;
        let mut out = stdout();
        if args.create {
            create(&admin, args, &mut out).await?;
        } else if args.list {
            list(&admin, args, &mut out).await?;
        } else if args.describe {
            describe::describe(&admin, args, &mut out).await?;
        } else if args.alter {
            alter(&admin, args).await?;
        } else {
            delete(&admin, args).await?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Which options go with which action.
fn check(args: &TopicsArgs) -> anyhow::Result<()> {
    let actions = [args.list, args.create, args.delete, args.alter, args.describe];
    if actions.iter().filter(|&&given| given).count() != 1 {
        return usage("Command must include exactly one action: --list, --describe, --create, --alter or --delete");
    }
    if (args.create || args.alter || args.delete) && args.topic.is_none() {
        return usage("Missing required argument \"[topic]\"");
    }
    if args.alter && !args.config.is_empty() {
        return usage("Option \"[config]\" can't be used with option \"[alter]\" (the configs tool alters the configuration of a topic)");
    }
    if args.alter && args.partitions.is_none() {
        return usage("Missing required argument \"[partitions]\"");
    }
    let by_hand = args.replica_assignment.is_some();
    if args.create && by_hand && (args.partitions.is_some() || args.replication_factor.is_some()) {
        return usage("Option \"[replica-assignment]\" can't be used with option \"[partitions]\" or \"[replication-factor]\"");
    }
    let only_describe = args.under_replicated_partitions
        || args.unavailable_partitions
        || args.under_min_isr_partitions
        || args.at_min_isr_partitions
        || args.topics_with_overrides
        || args.topic_id.is_some();
    for (given, option, allowed) in [
        (!args.config.is_empty(), "config", args.create),
        (args.partitions.is_some(), "partitions", args.create || args.alter),
        (args.replication_factor.is_some(), "replication-factor", args.create),
        (by_hand, "replica-assignment", args.create || args.alter),
        (only_describe, "an option for --describe", args.describe),
        (args.if_exists, "if-exists", args.alter || args.delete || args.describe),
        (args.if_not_exists, "if-not-exists", args.create),
        (args.exclude_internal, "exclude-internal", args.list || args.describe),
    ] {
        if given && !allowed {
            return usage(format!("Option \"[{option}]\" can't be used with this action"));
        }
    }
    Ok(())
}

async fn create(admin: &Admin, args: &TopicsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let name = args.topic.clone().unwrap_or_default();
    if name.contains(['.', '_']) {
        writeln!(
            out,
            "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid issues it is \
             best to use either, but not both."
        )?;
    }
    anyhow::ensure!(
        args.replication_factor
            .is_none_or(|factor| (1..=i32::from(i16::MAX)).contains(&factor)),
        "The replication factor must be between 1 and {} inclusive",
        i16::MAX
    );
    anyhow::ensure!(
        args.partitions.is_none_or(|count| count > 0),
        "The partitions must be greater than 0"
    );
    let topic = NewTopic {
        partitions: args.partitions,
        replication_factor: args.replication_factor.and_then(|factor| i16::try_from(factor).ok()),
        assignment: args
            .replica_assignment
            .as_deref()
            .map(parse_assignment)
            .transpose()?
            .unwrap_or_default(),
        configs: args.config.iter().map(|pair| parse_config(pair)).collect::<anyhow::Result<_>>()?,
        name,
    };
    match admin.create_topic(&topic).await {
        Ok(_) => writeln!(out, "Created topic {}.", topic.name)?,
        Err(error) if args.if_not_exists && error.code() == Some(ErrorCode::TopicAlreadyExists) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn list(admin: &Admin, args: &TopicsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "{}", matching_topics(admin, args).await?.join("\n"))?;
    Ok(())
}

async fn alter(admin: &Admin, args: &TopicsArgs) -> anyhow::Result<()> {
    let assignment = args.replica_assignment.as_deref().map(parse_assignment).transpose()?;
    let names = existing_topics(admin, args).await?;
    let count = args.partitions.unwrap_or_default();
    for topic in admin.describe_topics(&names, args.partition_size_limit_per_response).await? {
        // The assignment names all partitions; the server wants to hear of the new ones.
        let of_new = assignment
            .as_ref()
            .map(|assignment| assignment.iter().skip(topic.partitions.len()).cloned().collect());
        admin.create_partitions(&topic.name, count, of_new).await?;
    }
    Ok(())
}

async fn delete(admin: &Admin, args: &TopicsArgs) -> anyhow::Result<()> {
    for topic in existing_topics(admin, args).await? {
        admin.delete_topic(&topic).await?;
    }
    Ok(())
}

/// The topics that `--topic` matches, all if it is not given.
async fn matching_topics(admin: &Admin, args: &TopicsArgs) -> anyhow::Result<Vec<String>> {
    let pattern = args.topic.as_deref().map(TopicPattern::new).transpose()?;
    let topics = admin.list_topics().await?.into_iter();
    let topics = topics.filter(|topic| !(topic.is_internal && args.exclude_internal));
    let topics = topics.filter(|topic| pattern.as_ref().is_none_or(|pattern| pattern.matches(&topic.name)));
    Ok(topics.map(|topic| topic.name.to_string()).collect())
}

/// Like [`matching_topics`]; finding none is an error unless `--if-exists` is given.
async fn existing_topics(admin: &Admin, args: &TopicsArgs) -> anyhow::Result<Vec<String>> {
    let found = matching_topics(admin, args).await?;
    match args.topic.as_deref() {
        Some(topic) if found.is_empty() && !args.if_exists => Err(missing(topic).into()),
        _ => Ok(found),
    }
}

fn missing(topic: &str) -> ClientError {
    ClientError::Incomplete(format!("Topic '{topic}' does not exist as expected"))
}

fn parse_config(pair: &str) -> anyhow::Result<(String, String)> {
    let (name, value) = pair.split_once('=').ok_or_else(|| {
        anyhow::anyhow!("requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".")
    })?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// `1:2,2:3`: brokers 1 and 2 for partition 0, brokers 2 and 3 for partition 1.
fn parse_assignment(text: &str) -> anyhow::Result<Vec<Vec<i32>>> {
    let mut partitions: Vec<Vec<i32>> = Vec::new();
    for (index, partition) in text.split(',').enumerate() {
        let brokers = partition.split(':').map(|id| id.trim().parse::<i32>());
        let brokers = brokers
            .collect::<Result<Vec<i32>, _>>()
            .map_err(|_| anyhow::anyhow!("'{partition}' is not a list of broker ids"))?;
        let mut distinct = brokers.clone();
        distinct.sort_unstable();
        distinct.dedup();
        anyhow::ensure!(
            distinct.len() == brokers.len(),
            "Partition replica lists may not contain duplicate entries: {partition}"
        );
        anyhow::ensure!(
            partitions.first().is_none_or(|first| first.len() == brokers.len()),
            "Partition {index} has different replication factor: {brokers:?}"
        );
        partitions.push(brokers);
    }
    Ok(partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(arguments: &[&str]) -> Result<(), String> {
        let args = TopicsArgs::try_parse_from([&["topics"], arguments].concat()).map_err(|error| error.to_string())?;
        check(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn options_that_do_not_fit_the_action_are_refused() {
        assert!(checked(&["--create", "--topic", "t"]).is_ok());
        assert!(checked(&["--list", "--exclude-internal"]).is_ok());
        for (arguments, part) in [
            (&["--topic", "t"][..], "exactly one action"),
            (&["--create", "--list"], "exactly one action"),
            (&["--create"], "[topic]"),
            (&["--alter", "--topic", "t"], "[partitions]"),
            (&["--alter", "--topic", "t", "--config", "a=b"], "[config]"),
            (&["--list", "--if-exists"], "[if-exists]"),
            (
                &["--create", "--topic", "t", "--replica-assignment", "1", "--partitions", "1"],
                "[replica-assignment]",
            ),
            (&["--create", "--topic", "t", "--partitions", "abc"], "abc"),
        ] {
            let error = checked(arguments).unwrap_err();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn an_assignment_names_the_brokers_of_each_partition() {
        assert_eq!(parse_assignment("1:2,2:3").unwrap(), [[1, 2], [2, 3]]);
        for wrong in ["1:1", "1:2,3", "a", ""] {
            assert!(parse_assignment(wrong).is_err(), "{wrong:?}");
        }
    }
}
