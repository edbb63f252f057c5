//! `dohle reassign-partitions`: moves replicas to other brokers; proposes where to, starts, watches, and cancels.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use dohle_client::admin::PerPartition;
use dohle_client::admin::topics::TopicDescription;
use dohle_client::{Admin, TopicPartition};
use dohle_protocol::ErrorCode;

use crate::arguments::{run_tool_reporting, usage};
use crate::connect::{Bootstrap, block_on, connect_admin};
use crate::limits::PARTITIONS_PER_ANSWER;

mod placement;
mod plan;
mod throttles;

use placement::Candidate;
use plan::Plan;
use throttles::{Reassignments, plural};

/// Move replicas of partitions between brokers.
#[derive(Debug, Parser)]
#[command(name = "dohle reassign-partitions", version, arg_required_else_help = true)]
struct ReassignArgs {
    /// The server(s) to connect to
    #[arg(long, value_name = "HOST:PORT,...", default_value = "localhost:9092")]
    bootstrap_server: String,
    /// The controller(s) to connect to instead; with --list and --cancel
    #[arg(long, value_name = "HOST:PORT,...", conflicts_with = "bootstrap_server")]
    bootstrap_controller: Option<String>,
    /// Property file with settings for the client
    #[arg(long, value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// Propose where to move the topics of --topics-to-move-json-file, without doing so
    #[arg(long, help_heading = "Actions")]
    generate: bool,
    /// Start what --reassignment-json-file says
    #[arg(long, help_heading = "Actions")]
    execute: bool,
    /// Say how far what --reassignment-json-file says has come; when all is done, throttles are removed
    #[arg(long, help_heading = "Actions")]
    verify: bool,
    /// Go back to the replicas before, for the partitions in --reassignment-json-file
    #[arg(long, help_heading = "Actions")]
    cancel: bool,
    /// List what goes on
    #[arg(long, help_heading = "Actions")]
    list: bool,
    /// Replicas of partitions:
    /// {"partitions": [{"topic": "foo", "partition": 1, "replicas": [1,2,3]}], "version": 1}
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    reassignment_json_file: Option<PathBuf>,
    /// Topics: {"topics": [{"topic": "foo"}, {"topic": "bar"}], "version": 1}
    #[arg(long, value_name = "FILE")]
    topics_to_move_json_file: Option<PathBuf>,
    /// The brokers that --generate may use
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    broker_list: Vec<i32>,
    /// Do not spread replicas over racks
    #[arg(long)]
    disable_rack_aware: bool,
    /// Bytes per second and broker that may be copied; also changes the rate of what goes on, with --additional
    #[arg(long, value_name = "BYTES")]
    throttle: Option<i64>,
    /// Start this beside what goes on already
    #[arg(long)]
    additional: bool,
    /// Leave the throttles as they are
    #[arg(long)]
    preserve_throttles: bool,
    /// Accepted for compatibility: replicas are not moved between the directories of a broker
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
}

/// A failure that is told as it is; Kafka's tool puts `Error: ` before all others.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Terse(String);

const EXISTING: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a new \
                        partition assignment in addition to the existing one. The --additional flag can also be used to change the throttle by \
                        resubmitting the current reassignment.";

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool_reporting(arguments, reassign, |error| match error.downcast_ref::<Terse>() {
        Some(terse) => println!("{terse}"),
        None => println!("Error: {error:#}"),
    })
}

fn reassign(args: &ReassignArgs) -> anyhow::Result<ExitCode> {
    check(args)?;
    let plan = args
        .reassignment_json_file
        .as_deref()
        .map(|file| plan::parse_plan(&read(file)?))
        .transpose()?
        .unwrap_or_default();
    if args.execute {
        plan::check_plan(&plan)?;
    }
    block_on(async {
        let bootstrap = Bootstrap::of(&args.bootstrap_server, args.bootstrap_controller.as_deref());
        let admin = connect_admin(bootstrap, args.command_config.as_ref()).await?;
        if args.generate {
            generate(&admin, args).await?;
        } else if args.execute {
            execute(&admin, args, &plan).await?;
        } else if args.verify {
            verify(&admin, args, &plan).await?;
        } else if args.cancel {
            cancel(&admin, args, &plan).await?;
        } else {
            print!("{}", listed(&admin.list_reassignments(None).await?));
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn check(args: &ReassignArgs) -> anyhow::Result<()> {
    let actions = [args.generate, args.execute, args.verify, args.cancel, args.list];
    if actions.iter().filter(|&&given| given).count() != 1 {
        return usage("Command must include exactly one action: --generate, --execute, --verify, --cancel, --list");
    }
    let takes_plan = args.execute || args.verify || args.cancel;
    if takes_plan && args.reassignment_json_file.is_none() {
        return usage("Missing required argument \"[reassignment-json-file]\"");
    }
    if args.generate && (args.topics_to_move_json_file.is_none() || args.broker_list.is_empty()) {
        return usage("Missing required argument \"[topics-to-move-json-file]\" or \"[broker-list]\"");
    }
    for (given, option, allowed) in [
        (args.reassignment_json_file.is_some(), "reassignment-json-file", takes_plan),
        (args.topics_to_move_json_file.is_some(), "topics-to-move-json-file", args.generate),
        (!args.broker_list.is_empty(), "broker-list", args.generate),
        (args.disable_rack_aware, "disable-rack-aware", args.generate),
        (args.throttle.is_some(), "throttle", args.execute),
        (args.additional, "additional", args.execute),
        (args.preserve_throttles, "preserve-throttles", args.verify || args.cancel),
        (args.timeout.is_some(), "timeout", args.execute || args.cancel),
        (
            args.bootstrap_controller.is_some(),
            "bootstrap-controller",
            args.cancel || args.list,
        ),
    ] {
        if given && !allowed {
            return usage(format!("Option \"[{option}]\" can't be used with this action"));
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("Unable to read file {}", file.display()))
}

async fn generate(admin: &Admin, args: &ReassignArgs) -> anyhow::Result<()> {
    let mut brokers = BTreeSet::new();
    if let Some(twice) = args.broker_list.iter().find(|id| !brokers.insert(**id)) {
        anyhow::bail!("Broker list contains duplicate entries: [{twice}]");
    }
    let topics = plan::parse_topics(&read(args.topics_to_move_json_file.as_deref().unwrap_or(Path::new("")))?)?;
    let topics: Vec<String> = topics.into_iter().collect();
    let described = admin.describe_topics(&topics, PARTITIONS_PER_ANSWER).await?;
    let mut candidates: Vec<Candidate> = Vec::new();
    for live in admin.describe_cluster(false).await?.brokers {
        let broker = live.broker;
        if brokers.contains(&broker.id) {
            let rack = broker.rack.filter(|_| !args.disable_rack_aware);
            candidates.push(Candidate { id: broker.id, rack });
        }
    }
    let with_rack = candidates.iter().filter(|candidate| candidate.rack.is_some()).count();
    anyhow::ensure!(
        with_rack == 0 || with_rack == candidates.len(),
        "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica assignment without rack information."
    );
    let mut proposed = Plan::new();
    for topic in &described {
        let replicas = topic.partitions.first().map_or(0, |partition| partition.replicas.len());
        let placed = placement::place(&candidates, topic.partitions.len(), replicas)?;
        for (partition, replicas) in topic.partitions.iter().zip(placed) {
            proposed.insert(TopicPartition::new(topic.name.as_str(), partition.index), replicas);
        }
    }
    let current = plan::to_json(&current_plan(&described));
    println!("Current partition replica assignment\n{current}\n");
    println!("Proposed partition reassignment configuration\n{}", plan::to_json(&proposed));
    Ok(())
}

fn current_plan(topics: &[TopicDescription]) -> Plan {
    let partitions = topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|p| (TopicPartition::new(topic.name.as_str(), p.index), p.replicas.clone()))
    });
    partitions.collect()
}

async fn execute(admin: &Admin, args: &ReassignArgs, proposed: &Plan) -> anyhow::Result<()> {
    let ongoing = admin.list_reassignments(None).await?;
    if !args.additional && !ongoing.is_empty() {
        return Err(Terse(EXISTING.to_owned()).into());
    }
    let described = admin.describe_cluster(false).await?.brokers;
    let live: BTreeSet<i32> = described.iter().map(|live| live.broker.id).collect();
    if let Some(unknown) = proposed.values().flatten().find(|id| !live.contains(*id)) {
        anyhow::bail!("Unknown broker id {unknown}");
    }
    let current = current_of(admin, proposed).await?;
    println!(
        "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option during rollback",
        plan::to_json(&current)
    );
    if let Some(bytes_per_second) = args.throttle.filter(|rate| *rate >= 0) {
        println!("Warning: You must run --verify periodically, until the reassignment completes, to ensure the throttle is removed.");
        throttles::set(admin, bytes_per_second, &ongoing, proposed, &current).await?;
    }
    let targets = proposed.iter().map(|(tp, replicas)| (tp.clone(), Some(replicas.clone())));
    let outcomes = admin.alter_reassignments(&targets.collect()).await?;
    if let Some(errors) = errors(&outcomes) {
        return Err(Terse(format!("Error reassigning partition(s):\n{errors}")).into());
    }
    println!(
        "Successfully started partition reassignment{} for {}",
        plural(proposed.len()),
        join(proposed.keys())
    );
    Ok(())
}

/// What the partitions of a plan have at the moment; one that does not exist is an error.
async fn current_of(admin: &Admin, proposed: &Plan) -> anyhow::Result<Plan> {
    let topics: BTreeSet<String> = proposed.keys().map(|tp| tp.topic.to_string()).collect();
    let topics: Vec<String> = topics.into_iter().collect();
    let mut current = current_plan(&admin.describe_topics(&topics, PARTITIONS_PER_ANSWER).await?);
    let missing: Vec<&TopicPartition> = proposed.keys().filter(|tp| !current.contains_key(*tp)).collect();
    anyhow::ensure!(missing.is_empty(), "Unable to find partition: {}", join(missing).replace(',', ", "));
    current.retain(|tp, _| proposed.contains_key(tp));
    Ok(current)
}

/// One line for each partition that failed.
fn errors(outcomes: &PerPartition) -> Option<String> {
    let failed = outcomes
        .iter()
        .filter_map(|(tp, outcome)| Some(format!("{tp}: {}", outcome.as_ref().err()?)));
    let failed: Vec<String> = failed.collect();
    (!failed.is_empty()).then(|| failed.join("\n"))
}

async fn verify(admin: &Admin, args: &ReassignArgs, targets: &Plan) -> anyhow::Result<()> {
    let ongoing = admin.list_reassignments(None).await?;
    let mut current = Plan::new();
    let settled = targets.keys().filter(|tp| !ongoing.contains_key(*tp));
    for topic in settled.map(|tp| tp.topic.to_string()).collect::<BTreeSet<_>>() {
        match admin.describe_topics(&[topic], PARTITIONS_PER_ANSWER).await {
            Ok(described) => current.extend(current_plan(&described)),
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Then a line for moves between directories, of which there are none.
    println!("{}\n", progress(targets, &ongoing, &current));
    if ongoing.is_empty() && !args.preserve_throttles {
        throttles::clear(admin, targets).await?;
    }
    Ok(())
}

fn progress(targets: &Plan, ongoing: &Reassignments, current: &Plan) -> String {
    let mut lines = vec!["Status of partition reassignment:".to_owned()];
    for (tp, target) in targets {
        let replicas = current.get(tp).map(Vec::as_slice).unwrap_or_default();
        lines.push(if ongoing.contains_key(tp) {
            format!("Reassignment of partition {tp} is still in progress.")
        } else if replicas == target.as_slice() {
            format!("Reassignment of partition {tp} is completed.")
        } else {
            format!(
                "There is no active reassignment of partition {tp}, but replica set is {} rather than {}.",
                join(replicas),
                join(target)
            )
        });
    }
    lines.join("\n")
}

async fn cancel(admin: &Admin, args: &ReassignArgs, targets: &Plan) -> anyhow::Result<()> {
    let named: BTreeSet<TopicPartition> = targets.keys().cloned().collect();
    let ongoing = admin.list_reassignments(Some(&named)).await?;
    if ongoing.is_empty() {
        println!("None of the specified partition reassignments are active.");
    } else {
        let cancelled: BTreeMap<_, _> = ongoing.keys().map(|tp| (tp.clone(), None)).collect();
        let count = plural(cancelled.len());
        if let Some(errors) = errors(&admin.alter_reassignments(&cancelled).await?) {
            return Err(Terse(format!("Error cancelling partition reassignment{count} for:\n{errors}")).into());
        }
        println!(
            "Successfully cancelled partition reassignment{count} for: {}",
            join(cancelled.keys())
        );
    }
    println!("None of the specified partition moves are active.");
    if !args.preserve_throttles {
        throttles::clear(admin, targets).await?;
    }
    Ok(())
}

fn listed(ongoing: &Reassignments) -> String {
    if ongoing.is_empty() {
        return "No partition reassignments found.\n".to_owned();
    }
    let mut text = "Current partition reassignments:\n".to_owned();
    for (tp, moving) in ongoing {
        text += &format!("{tp}: replicas: {}.", join(&moving.replicas));
        for (what, ids) in [("adding", &moving.adding), ("removing", &moving.removing)] {
            if !ids.is_empty() {
                text += &format!(" {what}: {}.", join(ids));
            }
        }
        text.push('\n');
    }
    text
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use dohle_client::admin::reassignments::Reassignment;

    use super::*;

    fn checked(arguments: &[&str]) -> Result<(), String> {
        let args = ReassignArgs::try_parse_from([&["reassign-partitions"], arguments].concat()).map_err(|error| error.to_string())?;
        check(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn options_that_do_not_fit_the_action_are_refused() {
        let file = "--reassignment-json-file";
        assert!(checked(&["--list"]).is_ok());
        assert!(checked(&["--list", "--bootstrap-controller", "c:1"]).is_ok());
        assert!(checked(&["--execute", file, "f", "--throttle", "1000", "--additional"]).is_ok());
        assert!(checked(&["--generate", "--topics-to-move-json-file", "f", "--broker-list", "1,2"]).is_ok());
        for (arguments, part) in [
            (&["--list", "--verify", file, "f"][..], "exactly one action"),
            (&["--disable-rack-aware"], "exactly one action"),
            (&["--execute"], "[reassignment-json-file]"),
            (&["--generate", "--broker-list", "1"], "[topics-to-move-json-file]"),
            (&["--verify", file, "f", "--throttle", "1"], "[throttle]"),
            (&["--verify", file, "f", "--bootstrap-controller", "c:1"], "[bootstrap-controller]"),
            (
                &["--list", "--bootstrap-controller", "c:1", "--bootstrap-server", "s:1"],
                "cannot be used with",
            ),
        ] {
            let error = checked(arguments).unwrap_err();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn progress_and_list_are_those_of_kafka() {
        let tp = |index| TopicPartition::new("t", index);
        let targets = Plan::from([(tp(0), vec![1, 2]), (tp(1), vec![3]), (tp(2), vec![2, 1]), (tp(3), vec![1])]);
        let moving = Reassignment {
            replicas: vec![3, 1],
            adding: vec![3],
            removing: vec![1],
        };
        let ongoing = Reassignments::from([(tp(1), moving)]);
        let current = Plan::from([(tp(0), vec![1, 2]), (tp(2), vec![1, 2])]);
        assert_eq!(
            progress(&targets, &ongoing, &current),
            "Status of partition reassignment:\n\
             Reassignment of partition t-0 is completed.\n\
             Reassignment of partition t-1 is still in progress.\n\
             There is no active reassignment of partition t-2, but replica set is 1,2 rather than 2,1.\n\
             There is no active reassignment of partition t-3, but replica set is  rather than 1."
        );
        assert_eq!(
            listed(&ongoing),
            "Current partition reassignments:\nt-1: replicas: 3,1. adding: 3. removing: 1.\n"
        );
        assert_eq!(listed(&Reassignments::new()), "No partition reassignments found.\n");
    }
}
