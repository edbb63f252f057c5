//! `dohle consumer-groups`: Kafka's ConsumerGroupCommand.
//!
//! As in Kafka's tool, what a group is refused for is printed as an answer and is no failure of the tool; the tool fails if it cannot
//! ask, or if its arguments make no sense.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dohle_client::admin::groups::GroupListing;
use dohle_client::{Admin, ClientConfig};

use crate::arguments::{run_tool_reporting, usage};
use crate::connect::{ServerArgs, block_on, properties_of};
use crate::output::stdout;

mod columns;
mod delete;
mod describe;
mod list;
mod partitions;
mod plan_file;
mod reset;

/// List and describe consumer groups, delete them, or reset their offsets.
#[derive(Debug, Parser)]
#[command(name = "dohle consumer-groups", version, arg_required_else_help = true)]
struct GroupsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// List all consumer groups
    #[arg(long, help_heading = "Actions")]
    list: bool,
    /// Describe groups: what they have committed and how far they lag behind
    #[arg(long, help_heading = "Actions")]
    describe: bool,
    /// Delete groups that have no members
    #[arg(long, help_heading = "Actions")]
    delete: bool,
    /// Set the offsets of groups that have no members; name a scope and what to reset to
    #[arg(long, help_heading = "Actions")]
    reset_offsets: bool,
    /// Delete what one group has committed for topics
    #[arg(long, help_heading = "Actions")]
    delete_offsets: bool,
    /// Tell whether a regular expression may be subscribed to
    #[arg(long, value_name = "REGEX", help_heading = "Actions")]
    validate_regex: Option<String>,
    /// A group to act on, also several times
    #[arg(long)]
    group: Vec<String>,
    /// Act on all consumer groups
    #[arg(long)]
    all_groups: bool,
    /// A topic, or partitions of one as in topic1:0,1,2; also several times
    #[arg(long)]
    topic: Vec<String>,
    /// All topics for which the group has committed offsets
    #[arg(long)]
    all_topics: bool,
    /// How long to wait for answers
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    timeout: u64,
    /// Describe offsets and lag (the default)
    #[arg(long, help_heading = "Describe")]
    offsets: bool,
    /// Describe the members
    #[arg(long, help_heading = "Describe")]
    members: bool,
    /// Describe the state; with --list: show it, or list only groups in these states
    #[arg(long, value_name = "STATE,...", num_args = 0..=1, help_heading = "Describe")]
    state: Option<Option<String>>,
    /// With --list: show the type, or list only groups of these types
    #[arg(long = "type", value_name = "TYPE,...", num_args = 0..=1, help_heading = "Describe")]
    kind: Option<Option<String>>,
    /// Show more columns
    #[arg(long, help_heading = "Describe")]
    verbose: bool,
    #[command(flatten)]
    reset: ResetArgs,
}

/// What to reset offsets to, and whether to do it.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reset offsets")]
struct ResetArgs {
    /// To the earliest offset
    #[arg(long)]
    to_earliest: bool,
    /// To the end
    #[arg(long)]
    to_latest: bool,
    /// To what is committed now
    #[arg(long)]
    to_current: bool,
    /// To one offset
    #[arg(long, value_name = "OFFSET", allow_negative_numbers = true)]
    to_offset: Option<i64>,
    /// By so many records, forwards or backwards
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the first record at or after a time, in the form YYYY-MM-DDThh:mm:ss.sss, in UTC unless a zone follows
    #[arg(long, value_name = "TIME")]
    to_datetime: Option<String>,
    /// To the first record that is not older than this, in the form PnDTnHnMnS
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    by_duration: Option<String>,
    /// To what a CSV file says: topic,partition,offset, or with several groups group,topic,partition,offset
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Only show what would be done (the default)
    #[arg(long)]
    dry_run: bool,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// Print the new offsets as CSV
    #[arg(long)]
    export: bool,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool_reporting(arguments, consumer_groups, |error| {
        println!("\nError: Executing consumer group command failed due to {error:#}");
    })
}

fn consumer_groups(args: &GroupsArgs) -> anyhow::Result<ExitCode> {
    check(args)?;
    if let Some(pattern) = &args.validate_regex {
        match regex_lite::Regex::new(pattern) {
            Ok(_) => println!("The regular expression `{pattern}` is valid."),
            Err(error) => println!("The regular expression `{pattern}` is invalid: {error}."),
        }
        return Ok(ExitCode::SUCCESS);
    }
    block_on(async {
        let admin = connect(args).await?;
        let mut out = stdout();
        if args.list {
            list::list(&admin, args.state.as_ref(), args.kind.as_ref(), &mut out).await?;
        } else if args.delete_offsets {
            delete::delete_offsets(&admin, &args.group[0], &args.topic, &mut out).await?;
        } else {
            let groups = chosen_groups(&admin, args).await?;
            if args.describe {
                describe::describe(&admin, &groups, view(args), args.verbose, &mut out).await?;
            } else if args.delete {
                delete::delete_groups(&admin, &groups, &mut out).await?;
            } else {
                reset::reset_offsets(&admin, &groups, args, &mut out).await?;
            }
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn connect(args: &GroupsArgs) -> anyhow::Result<Admin> {
    let mut properties = properties_of(args.server.command_config.as_ref())?;
    properties.set("bootstrap.servers", &args.server.bootstrap_server);
    properties.set("default.api.timeout.ms", args.timeout.to_string());
    properties.set_default("request.timeout.ms", args.timeout.to_string());
    properties.set_default("client.id", "adminclient-1");
    Ok(Admin::connect(ClientConfig::from_properties(&properties)?).await?)
}

async fn chosen_groups(admin: &Admin, args: &GroupsArgs) -> anyhow::Result<Vec<String>> {
    let mut groups = args.group.clone();
    if args.all_groups {
        let listed = admin.list_groups(&[], &[]).await?;
        groups = listed.into_iter().filter(is_of_consumers).map(|group| group.id).collect();
    }
    groups.sort();
    groups.dedup();
    Ok(groups)
}

/// Connect and others use groups for purposes of their own. A group that only commits has no protocol.
fn is_of_consumers(group: &GroupListing) -> bool {
    group.protocol_type.is_empty() || group.protocol_type == "consumer"
}

fn view(args: &GroupsArgs) -> describe::View {
    if args.members {
        describe::View::Members
    } else if args.state.is_some() {
        describe::View::State
    } else {
        describe::View::Offsets
    }
}

/// Refuses what does not go together, in Kafka's words.
fn check(args: &GroupsArgs) -> anyhow::Result<()> {
    let actions = [
        args.list,
        args.describe,
        args.delete,
        args.reset_offsets,
        args.delete_offsets,
        args.validate_regex.is_some(),
    ];
    if actions.iter().filter(|&&given| given).count() != 1 {
        return usage(
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets, --validate-regex",
        );
    }
    let no_group = args.group.is_empty() && !args.all_groups;
    for (action, given) in [
        ("describe", args.describe),
        ("delete", args.delete),
        ("reset-offsets", args.reset_offsets),
    ] {
        if given && no_group {
            return usage(format!("Option [{action}] takes one of these options: [group], [all-groups]"));
        }
    }
    check_view(args)?;
    if args.delete && !args.topic.is_empty() {
        return usage("The consumer does not support topic-specific offset deletion from a consumer group.");
    }
    if args.delete_offsets && (args.group.len() != 1 || args.topic.is_empty()) {
        return usage("Option [delete-offsets] takes the following options: [group], [topic]");
    }
    let conflicts = [
        ("group", "all-groups", !args.group.is_empty() && args.all_groups),
        ("group", "list", !args.group.is_empty() && args.list),
        ("topic", "list", !args.topic.is_empty() && args.list),
        ("topic", "describe", !args.topic.is_empty() && args.describe),
    ];
    if let Some((option, other, _)) = conflicts.into_iter().find(|(_, _, given)| *given) {
        return usage(format!("Option \"[{option}]\" can't be used with option \"[{other}]\""));
    }
    if args.reset_offsets { check_reset(args) } else { Ok(()) }
}

fn check_view(args: &GroupsArgs) -> anyhow::Result<()> {
    let described = args.members || args.offsets || args.verbose;
    if (described && !args.describe) || (args.state.is_some() && !args.describe && !args.list) || (args.kind.is_some() && !args.list) {
        return usage("Options [members], [offsets] and [verbose] need [describe], [type] needs [list], [state] needs one of the two");
    }
    if !args.describe {
        return Ok(());
    }
    let views = [args.members, args.offsets, args.state.is_some()];
    if views.iter().filter(|&&given| given).count() > 1 {
        return usage("Option [describe] takes at most one of these options: [members], [offsets], [state]");
    }
    if matches!(args.state, Some(Some(_))) {
        return usage("Option [describe] does not take a value for [state]");
    }
    Ok(())
}

fn check_reset(args: &GroupsArgs) -> anyhow::Result<()> {
    let reset = &args.reset;
    if reset.dry_run && reset.execute {
        return usage("Option [reset-offsets] only accepts one of [execute] and [dry-run]");
    }
    let scenarios = [
        ("to-earliest", reset.to_earliest),
        ("to-latest", reset.to_latest),
        ("to-current", reset.to_current),
        ("to-offset", reset.to_offset.is_some()),
        ("shift-by", reset.shift_by.is_some()),
        ("to-datetime", reset.to_datetime.is_some()),
        ("by-duration", reset.by_duration.is_some()),
        ("from-file", reset.from_file.is_some()),
    ];
    let given: Vec<&str> = scenarios.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
    match given.as_slice() {
        [_] => {}
        [] => {
            let names: Vec<String> = scenarios.iter().map(|(name, _)| format!("[{name}]")).collect();
            return usage(format!(
                "Option '[reset-offsets]' requires one of the following scenarios: [{}]",
                names.join(", ")
            ));
        }
        [first, second, ..] => return usage(format!("Option \"[{first}]\" can't be used with option \"[{second}]\"")),
    }
    if args.topic.is_empty() && !args.all_topics && reset.from_file.is_none() {
        return usage("One of the reset scopes should be defined: --all-topics, --topic.");
    }
    if !reset.dry_run && !reset.execute {
        eprintln!(
            "WARN: No action will be performed as the --execute option is missing. Add --dry-run if that is what you want: \
             Kafka 5.0 requires one of the two."
        );
    }
    Ok(())
}

/// A refusal that is an answer: Kafka's tool prints it among its output.
fn write_error(out: &mut impl Write, message: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(out, "\nError: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str) -> Result<(), String> {
        let args = GroupsArgs::try_parse_from(["consumer-groups"].into_iter().chain(line.split_whitespace()));
        check(&args.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    #[test]
    fn what_goes_together_is_accepted() {
        for line in [
            "--list",
            "--list --state",
            "--list --state empty,stable --type classic",
            "--describe --group a --group b",
            "--describe --all-groups --members --verbose",
            "--describe --group a --state",
            "--delete --group a",
            "--delete-offsets --group a --topic t:0,1",
            "--reset-offsets --group a --all-topics --to-earliest --dry-run",
            "--reset-offsets --group a --topic t --topic u:0 --shift-by -2 --execute --export",
            "--reset-offsets --group a --from-file plan.csv --execute",
            "--validate-regex a.*",
        ] {
            assert_eq!(checked(line), Ok(()), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused_in_kafkas_words() {
        for (line, part) in [
            ("--group a", "exactly one action"),
            ("--list --describe --group a", "exactly one action"),
            ("--describe", "Option [describe] takes one of these options: [group], [all-groups]"),
            ("--delete", "Option [delete] takes one of these options"),
            (
                "--reset-offsets --all-topics --to-latest",
                "Option [reset-offsets] takes one of these options",
            ),
            (
                "--describe --group a --members --offsets",
                "at most one of these options: [members], [offsets], [state]",
            ),
            (
                "--describe --group a --state empty",
                "Option [describe] does not take a value for [state]",
            ),
            ("--delete --group a --topic t", "does not support topic-specific offset deletion"),
            ("--delete-offsets --group a", "takes the following options: [group], [topic]"),
            (
                "--describe --group a --all-groups",
                "Option \"[group]\" can't be used with option \"[all-groups]\"",
            ),
            ("--list --group a", "Option \"[group]\" can't be used with option \"[list]\""),
            ("--list --members", "need [describe]"),
            (
                "--reset-offsets --group a --topic t",
                "requires one of the following scenarios: [[to-earliest], ",
            ),
            ("--reset-offsets --group a --to-latest", "One of the reset scopes should be defined"),
            (
                "--reset-offsets --group a --topic t --to-earliest --to-latest",
                "Option \"[to-earliest]\" can't be used with option \"[to-latest]\"",
            ),
            (
                "--reset-offsets --group a --topic t --to-latest --dry-run --execute",
                "only accepts one of [execute] and [dry-run]",
            ),
        ] {
            let refused = checked(line).unwrap_err();
            assert!(refused.contains(part), "{line}: {refused}");
        }
    }
}
