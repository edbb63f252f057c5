//! `--reset-offsets`: plans new offsets for groups without members, shows them, and commits them if asked to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use dohle_client::admin::group_offsets::GroupOffsets;
use dohle_client::admin::offsets::at;
use dohle_client::config::IsolationLevel;
use dohle_client::consumer::OffsetAndMetadata;
use dohle_client::{Admin, TopicPartition};

use super::columns::write_columns;
use super::partitions::named_partitions;
use super::plan_file::{Plan, parse_plan, write_plan};
use super::{GroupsArgs, ResetArgs, write_error};
use crate::arguments::usage;
use crate::time_text::{parse_datetime_ms, parse_duration_ms};

type Offsets = BTreeMap<TopicPartition, i64>;

/// Where the offsets are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Earliest,
    Latest,
    Current,
    Offset(i64),
    ShiftBy(i64),
    /// The first record at or after this time.
    Time(i64),
    File(Plan),
}

impl Target {
    fn of(args: &ResetArgs, only_group: Option<&str>, now_ms: i64) -> anyhow::Result<Target> {
        if let Some(offset) = args.to_offset {
            return Ok(Target::Offset(offset));
        }
        if let Some(by) = args.shift_by {
            return Ok(Target::ShiftBy(by));
        }
        if let Some(text) = &args.to_datetime {
            return Ok(Target::Time(parse_datetime_ms(text)?));
        }
        if let Some(text) = &args.by_duration {
            return Ok(Target::Time(now_ms.saturating_sub(parse_duration_ms(text)?)));
        }
        if let Some(file) = &args.from_file {
            let text = std::fs::read_to_string(file).with_context(|| format!("Unable to read file {}", file.display()))?;
            return Ok(Target::File(parse_plan(&text, only_group)?));
        }
        Ok(if args.to_earliest {
            Target::Earliest
        } else if args.to_latest {
            Target::Latest
        } else {
            Target::Current
        })
    }
}

pub(super) async fn reset_offsets(admin: &Admin, groups: &[String], args: &GroupsArgs, out: &mut impl Write) -> anyhow::Result<()> {
    let only_group = match args.group.as_slice() {
        [group] => Some(group.as_str()),
        _ => None,
    };
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    let target = Target::of(&args.reset, only_group, i64::try_from(now_ms).unwrap_or(i64::MAX))?;
    let named = named_partitions(admin, &args.topic).await?;
    let described = admin.describe_groups(groups).await?;
    let committed = admin.list_group_offsets(groups).await?;
    let mut plan = Plan::new();
    for (id, group) in described {
        let state = group?.state;
        if !matches!(state.as_str(), "Empty" | "Dead") {
            write_error(
                out,
                format!("Assignments can only be reset if the group '{id}' is inactive, but the current state is {state}."),
            )?;
            continue;
        }
        let committed = committed.get(&id).cloned().unwrap_or_else(|| Ok(GroupOffsets::new()))?;
        let scope = match &target {
            Target::File(plan) => plan.get(&id).map(|offsets| offsets.keys().cloned().collect()).unwrap_or_default(),
            _ if args.all_topics => committed.keys().cloned().collect(),
            _ => named.clone(),
        };
        if matches!(&target, Target::File(plan) if !plan.contains_key(&id)) {
            write_error(out, format!("No reset plan for group {id} found"))?;
        }
        let offsets = new_offsets(admin, &id, &target, &scope, &committed, out).await?;
        if args.reset.execute && !offsets.is_empty() {
            commit(admin, &id, &offsets).await?;
        }
        plan.insert(id, offsets);
    }
    if args.reset.export {
        write_plan(out, &plan, only_group.is_none())?;
        writeln!(out)?;
    } else {
        write_resets(out, &plan)?;
    }
    Ok(())
}

async fn commit(admin: &Admin, group: &str, offsets: &Offsets) -> anyhow::Result<()> {
    let offsets = offsets
        .iter()
        .map(|(tp, &offset)| (tp.clone(), OffsetAndMetadata::new(offset)))
        .collect();
    for (tp, answer) in admin.alter_group_offsets(group, &offsets).await? {
        answer.with_context(|| format!("the offset of {tp} was not accepted"))?;
    }
    Ok(())
}

async fn new_offsets(
    admin: &Admin,
    group: &str,
    target: &Target,
    scope: &BTreeSet<TopicPartition>,
    committed: &GroupOffsets,
    out: &mut impl Write,
) -> anyhow::Result<Offsets> {
    let requested: Offsets = match target {
        Target::Earliest => return found(admin, scope, at::EARLIEST).await,
        Target::Latest => return found(admin, scope, at::LATEST).await,
        Target::Time(time_ms) => return at_time(admin, scope, *time_ms, out).await,
        Target::Current => {
            let (with, without): (BTreeSet<_>, BTreeSet<_>) = scope.iter().cloned().partition(|tp| committed.contains_key(tp));
            let mut offsets = found(admin, &without, at::LATEST).await?;
            offsets.extend(with.into_iter().map(|tp| {
                let offset = committed[&tp].offset;
                (tp, offset)
            }));
            return Ok(offsets);
        }
        Target::Offset(offset) => scope.iter().map(|tp| (tp.clone(), *offset)).collect(),
        Target::ShiftBy(by) => shifted(scope, committed, *by)?,
        Target::File(plan) => plan.get(group).cloned().unwrap_or_default(),
    };
    let starts = found(admin, scope, at::EARLIEST).await?;
    let ends = found(admin, scope, at::LATEST).await?;
    let mut offsets = Offsets::new();
    for (tp, offset) in requested {
        let (within, warning) = into_range(&tp, offset, starts[&tp], ends[&tp]);
        if let Some(warning) = warning {
            eprintln!("WARN {warning}");
        }
        offsets.insert(tp, within);
    }
    Ok(offsets)
}

/// One offset per partition; the first that cannot be told is the error.
async fn found(admin: &Admin, scope: &BTreeSet<TopicPartition>, time: i64) -> anyhow::Result<Offsets> {
    let wanted = scope.iter().map(|tp| (tp.clone(), time)).collect();
    let mut offsets = Offsets::new();
    for (tp, answer) in admin.list_offsets(&wanted, IsolationLevel::ReadUncommitted).await? {
        let answer = answer.with_context(|| format!("the offsets of {tp} cannot be told"))?;
        offsets.insert(tp, answer.offset);
    }
    Ok(offsets)
}

async fn at_time(admin: &Admin, scope: &BTreeSet<TopicPartition>, time_ms: i64, out: &mut impl Write) -> anyhow::Result<Offsets> {
    let mut offsets = found(admin, scope, time_ms.max(0)).await?;
    let late: BTreeSet<TopicPartition> = offsets
        .iter()
        .filter(|(_, offset)| **offset < 0)
        .map(|(tp, _)| tp.clone())
        .collect();
    for tp in &late {
        writeln!(
            out,
            "\nWarn: Partition {} from topic {} is empty. Falling back to latest known offset.",
            tp.partition, tp.topic
        )?;
    }
    offsets.extend(found(admin, &late, at::LATEST).await?);
    Ok(offsets)
}

fn shifted(scope: &BTreeSet<TopicPartition>, committed: &GroupOffsets, by: i64) -> anyhow::Result<Offsets> {
    let mut offsets = Offsets::new();
    for tp in scope {
        let Some(current) = committed.get(tp) else {
            return usage(format!(
                "Cannot shift offset for partition {tp} since there is no current committed offset"
            ));
        };
        offsets.insert(tp.clone(), current.offset.saturating_add(by));
    }
    Ok(offsets)
}

/// The offset, moved into the log if it lies outside, and what to say about that.
fn into_range(tp: &TopicPartition, offset: i64, start: i64, end: i64) -> (i64, Option<String>) {
    let moved = |bound: i64, relation: &str| {
        let warning = format!("New offset ({offset}) is {relation} offset for topic partition {tp}. Value will be set to {bound}");
        (bound, Some(warning))
    };
    if offset > end {
        moved(end, "higher than latest")
    } else if offset < start {
        moved(start, "lower than earliest")
    } else {
        (offset, None)
    }
}

fn write_resets(out: &mut impl Write, plan: &Plan) -> std::io::Result<()> {
    let row = |group: &String, tp: &TopicPartition, offset: &i64| {
        vec![group.clone(), tp.topic.to_string(), tp.partition.to_string(), offset.to_string()]
    };
    let rows = plan
        .iter()
        .flat_map(|(group, offsets)| offsets.iter().map(move |(tp, offset)| row(group, tp, offset)));
    let columns = [("GROUP", 15), ("TOPIC", 15), ("PARTITION", 10), ("NEW-OFFSET", 0)];
    writeln!(out)?;
    write_columns(out, &columns, &rows.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn tp(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn target(arguments: &str) -> anyhow::Result<Target> {
        let line = ["consumer-groups", "--reset-offsets"]
            .into_iter()
            .chain(arguments.split_whitespace());
        Target::of(&GroupsArgs::try_parse_from(line).unwrap().reset, Some("g"), 100_000)
    }

    #[test]
    fn targets_by_flag() {
        for (arguments, expected) in [
            ("--to-earliest", Target::Earliest),
            ("--to-latest", Target::Latest),
            ("--to-current", Target::Current),
            ("--to-offset 7", Target::Offset(7)),
            ("--shift-by -2", Target::ShiftBy(-2)),
            ("--to-datetime 1970-01-01T00:00:01.500", Target::Time(1500)),
            ("--by-duration PT1M", Target::Time(40_000)),
        ] {
            assert_eq!(target(arguments).unwrap(), expected, "{arguments}");
        }
        let error = format!("{:#}", target("--from-file /no/such/file").unwrap_err());
        assert!(error.starts_with("Unable to read file /no/such/file"), "{error}");
        assert!(target("--to-datetime 2020").is_err() && target("--by-duration soon").is_err());
    }

    #[test]
    fn a_file_is_read_for_the_only_group() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "t,0,4\n").unwrap();
        let expected = Plan::from([("g".to_owned(), Offsets::from([(tp(0), 4)]))]);
        let read = target(&format!("--from-file {}", file.path().display())).unwrap();
        assert_eq!(read, Target::File(expected));
    }

    #[test]
    fn only_what_is_committed_can_be_shifted() {
        let committed = GroupOffsets::from([(tp(0), OffsetAndMetadata::new(7))]);
        let shift = |partitions: &[i32], by| {
            let scope = partitions.iter().map(|&partition| tp(partition)).collect();
            shifted(&scope, &committed, by).map_err(|error| error.to_string())
        };
        assert_eq!(shift(&[0], -2), Ok(Offsets::from([(tp(0), 5)])));
        assert_eq!(shift(&[0], i64::MAX), Ok(Offsets::from([(tp(0), i64::MAX)])));
        assert_eq!(
            shift(&[0, 1], 1),
            Err("Cannot shift offset for partition t-1 since there is no current committed offset".into())
        );
    }

    #[test]
    fn offsets_outside_the_log_are_moved_into_it() {
        assert_eq!(into_range(&tp(0), 5, 5, 10), (5, None));
        assert_eq!(into_range(&tp(0), 10, 5, 10), (10, None));
        let (offset, warning) = into_range(&tp(0), 100, 5, 10);
        assert_eq!(offset, 10);
        assert_eq!(
            warning.unwrap(),
            "New offset (100) is higher than latest offset for topic partition t-0. Value will be set to 10"
        );
        let (offset, warning) = into_range(&tp(0), -1, 5, 10);
        assert_eq!(offset, 5);
        assert_eq!(
            warning.unwrap(),
            "New offset (-1) is lower than earliest offset for topic partition t-0. Value will be set to 5"
        );
    }

    #[test]
    fn the_table_is_that_of_kafka() {
        let plan = Plan::from([("empty-group".to_owned(), Offsets::from([(tp(0), 10), (tp(1), 0)]))]);
        let mut out = Vec::new();
        write_resets(&mut out, &plan).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            concat!(
                "\n",
                "GROUP           TOPIC           PARTITION  NEW-OFFSET\n",
                "empty-group     t               0          10\n",
                "empty-group     t               1          0\n",
            )
        );
    }
}
