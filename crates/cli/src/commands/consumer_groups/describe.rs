//! `--describe`: offsets and lag, members, or state of groups.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use dohle_client::admin::group_offsets::GroupOffsets;
use dohle_client::admin::groups::{GroupDescription, MemberDescription};
use dohle_client::admin::offsets::at;
use dohle_client::config::IsolationLevel;
use dohle_client::{Admin, TopicPartition};

use super::columns::{Column, write_columns};
use super::write_error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Offsets,
    Members,
    State,
}

/// In place of a value that is not there.
const MISSING: &str = "-";

pub(super) async fn describe(admin: &Admin, groups: &[String], view: View, verbose: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let described = admin.describe_groups(groups).await?;
    let offsets = match view {
        View::Offsets => admin.list_group_offsets(groups).await?,
        View::Members | View::State => BTreeMap::new(),
    };
    for (id, group) in described {
        let group = group?;
        if !announce(&id, &group.state, out)? {
            continue;
        }
        match view {
            View::Offsets => {
                let committed = offsets.get(&id).cloned().unwrap_or_else(|| Ok(GroupOffsets::new()))?;
                let ends = log_ends(admin, &group, &committed).await?;
                write_offsets(out, &offset_rows(&id, &group, &committed, &ends), verbose)?;
            }
            View::Members => write_members(out, &id, &group.members, verbose)?,
            View::State => {
                let metadata = admin.cluster().metadata();
                let address = metadata.brokers.get(&group.coordinator).map(|broker| broker.address());
                let coordinator = format!("{}  ({})", address.as_deref().unwrap_or(MISSING), group.coordinator);
                write_state(out, &id, &group, coordinator, verbose)?;
            }
        }
    }
    Ok(())
}

/// Tells of a state in which there is less to see; false if there is nothing at all.
fn announce(id: &str, state: &str, out: &mut impl Write) -> std::io::Result<bool> {
    let remark = match state {
        "Dead" => {
            write_error(out, format!("Consumer group '{id}' does not exist."))?;
            return Ok(false);
        }
        "Empty" => format!("Consumer group '{id}' has no active members."),
        "PreparingRebalance" | "CompletingRebalance" | "Assigning" | "Reconciling" => {
            format!("Warning: Consumer group '{id}' is rebalancing.")
        }
        _ => return Ok(true),
    };
    // Before what is printed next, if both outputs go to the same place.
    out.flush()?;
    eprintln!("\n{remark}");
    Ok(true)
}

/// The end of each partition that the group owns or has committed for; `None` where it cannot be told.
async fn log_ends(
    admin: &Admin,
    group: &GroupDescription,
    committed: &GroupOffsets,
) -> anyhow::Result<BTreeMap<TopicPartition, Option<i64>>> {
    let owned = group.members.iter().flat_map(|member| &member.assignment);
    let wanted = owned.chain(committed.keys()).map(|tp| (tp.clone(), at::LATEST)).collect();
    let found = admin.list_offsets(&wanted, IsolationLevel::ReadUncommitted).await?;
    Ok(found.into_iter().map(|(tp, end)| (tp, end.ok().map(|end| end.offset))).collect())
}

/// One line of the offsets, except for the group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OffsetRow {
    cells: [String; 9],
    leader_epoch: String,
}

/// Members with more partitions first, then what nobody owns.
fn offset_rows(
    id: &str,
    group: &GroupDescription,
    committed: &GroupOffsets,
    ends: &BTreeMap<TopicPartition, Option<i64>>,
) -> Vec<OffsetRow> {
    let mut members: Vec<&MemberDescription> = group.members.iter().collect();
    members.sort_by_key(|member| std::cmp::Reverse(member.assignment.len()));
    let owned = members
        .into_iter()
        .flat_map(|member| member.assignment.iter().map(move |tp| (tp, Some(member))));
    let mut rows: Vec<(&TopicPartition, Option<&MemberDescription>)> = owned.collect();
    let seen: BTreeSet<&TopicPartition> = rows.iter().map(|(tp, _)| *tp).collect();
    rows.extend(committed.keys().filter(|tp| !seen.contains(tp)).map(|tp| (tp, None)));
    let text = |number: Option<i64>| number.map_or_else(|| MISSING.to_owned(), |number| number.to_string());
    let row = |(tp, member): (&TopicPartition, Option<&MemberDescription>)| {
        let offset = committed.get(tp).map(|committed| committed.offset);
        let end = ends.get(tp).copied().flatten();
        let lag = offset.zip(end).map(|(offset, end)| end - offset);
        let epoch = committed
            .get(tp)
            .map(|committed| committed.leader_epoch)
            .filter(|&epoch| epoch >= 0);
        let of_member = |read: fn(&MemberDescription) -> &String| member.map_or_else(|| MISSING.to_owned(), |member| read(member).clone());
        OffsetRow {
            cells: [
                id.to_owned(),
                tp.topic.to_string(),
                tp.partition.to_string(),
                text(offset),
                text(end),
                text(lag),
                of_member(|member| &member.id),
                of_member(|member| &member.host),
                of_member(|member| &member.client_id),
            ],
            leader_epoch: text(epoch.map(i64::from)),
        }
    };
    rows.into_iter().map(row).collect()
}

fn write_offsets(out: &mut impl Write, rows: &[OffsetRow], verbose: bool) -> std::io::Result<()> {
    const EPOCH_COLUMN: usize = 3;
    let mut columns: Vec<Column> = vec![
        ("GROUP", 15),
        ("TOPIC", 15),
        ("PARTITION", 10),
        ("CURRENT-OFFSET", 15),
        ("LOG-END-OFFSET", 15),
        ("LAG", 15),
        ("CONSUMER-ID", 15),
        ("HOST", 15),
        ("CLIENT-ID", 0),
    ];
    if rows.is_empty() {
        return Ok(());
    }
    let mut cells: Vec<Vec<String>> = rows.iter().map(|row| row.cells.to_vec()).collect();
    if verbose {
        columns.insert(EPOCH_COLUMN, ("LEADER-EPOCH", 15));
        for (cells, row) in cells.iter_mut().zip(rows) {
            cells.insert(EPOCH_COLUMN, row.leader_epoch.clone());
        }
    }
    writeln!(out)?;
    write_columns(out, &columns, &cells)
}

fn write_members(out: &mut impl Write, id: &str, members: &[MemberDescription], verbose: bool) -> std::io::Result<()> {
    let with_instances = members.iter().any(|member| member.instance_id.is_some());
    let mut columns: Vec<Column> = vec![("GROUP", 15), ("CONSUMER-ID", 15)];
    if with_instances {
        columns.push(("GROUP-INSTANCE-ID", 17));
    }
    columns.extend([("HOST", 15), ("CLIENT-ID", 15), ("#PARTITIONS", 15)]);
    if verbose {
        columns.extend([
            ("CURRENT-EPOCH", 15),
            ("CURRENT-ASSIGNMENT", 20),
            ("TARGET-EPOCH", 15),
            ("TARGET-ASSIGNMENT", 20),
        ]);
    } else {
        // A blank ends the line.
        columns.push(("", 0));
    }
    let row = |member: &MemberDescription| {
        let mut cells = vec![id.to_owned(), member.id.clone()];
        if with_instances {
            cells.push(member.instance_id.clone().unwrap_or_default());
        }
        cells.extend([member.host.clone(), member.client_id.clone(), member.assignment.len().to_string()]);
        if verbose {
            // Epochs and targets are those of another protocol (KIP-848).
            cells.extend([
                MISSING.to_owned(),
                assignment_text(&member.assignment),
                MISSING.to_owned(),
                MISSING.to_owned(),
            ]);
        } else {
            cells.push(String::new());
        }
        cells
    };
    let rows: Vec<Vec<String>> = members.iter().map(row).collect();
    writeln!(out)?;
    write_columns(out, &columns, &rows)
}

/// `t:0,1;u:0`.
fn assignment_text(assignment: &[TopicPartition]) -> String {
    if assignment.is_empty() {
        return MISSING.to_owned();
    }
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for tp in assignment {
        topics.entry(&tp.topic).or_default().push(tp.partition.to_string());
    }
    let topics = topics
        .into_iter()
        .map(|(topic, partitions)| format!("{topic}:{}", partitions.join(",")));
    topics.collect::<Vec<_>>().join(";")
}

fn write_state(out: &mut impl Write, id: &str, group: &GroupDescription, coordinator: String, verbose: bool) -> std::io::Result<()> {
    let assignor = if group.assignor.is_empty() { MISSING } else { &group.assignor };
    let mut columns: Vec<Column> = vec![("GROUP", 15), ("COORDINATOR (ID)", 25), ("ASSIGNMENT-STRATEGY", 20), ("STATE", 20)];
    let mut cells = vec![id.to_owned(), coordinator, assignor.to_owned(), group.state.clone()];
    if verbose {
        columns.extend([("GROUP-EPOCH", 15), ("TARGET-ASSIGNMENT-EPOCH", 25)]);
        cells.extend([MISSING.to_owned(), MISSING.to_owned()]);
    }
    columns.push(("#MEMBERS", 0));
    cells.push(group.members.len().to_string());
    writeln!(out)?;
    write_columns(out, &columns, &[cells])
}

#[cfg(test)]
mod tests;
