//! `--list`: the groups of all brokers, with state and type if asked for.

use std::io::Write;

use dohle_client::Admin;
use dohle_client::admin::groups::GroupListing;

use super::columns::write_columns;
use super::is_of_consumers;
use crate::arguments::usage;

const STATES: [&str; 7] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Dead",
    "Empty",
    "Assigning",
    "Reconciling",
];
const TYPES: [&str; 2] = ["Consumer", "Classic"];

/// A filter is given as a list of names, or as nothing: then the column is shown for all groups.
pub(super) async fn list(
    admin: &Admin,
    state: Option<&Option<String>>,
    kind: Option<&Option<String>>,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let states = names("state", "states", state, &STATES)?;
    let kinds = names("types", "types", kind, &TYPES)?;
    let mut listed = admin.list_groups(&states, &kinds).await?;
    listed.retain(is_of_consumers);
    if state.is_none() && kind.is_none() {
        listed.iter().try_for_each(|group| writeln!(out, "{}", group.id))?;
    } else {
        write_list(out, &listed, state.is_some(), kind.is_some())?;
    }
    Ok(())
}

fn names(what: &str, all: &str, filter: Option<&Option<String>>, valid: &[&str]) -> anyhow::Result<Vec<String>> {
    let Some(text) = filter.and_then(Option::as_deref).filter(|text| !text.is_empty()) else {
        return Ok(Vec::new());
    };
    let name = |given: &str| {
        valid
            .iter()
            .find(|name| name.eq_ignore_ascii_case(given.trim()))
            .map(|name| (*name).to_owned())
    };
    match text.split(',').map(name).collect() {
        Some(names) => Ok(names),
        None => usage(format!("Invalid {what} list '{text}'. Valid {all} are: {}", valid.join(", "))),
    }
}

fn write_list(out: &mut impl Write, groups: &[GroupListing], with_state: bool, with_type: bool) -> std::io::Result<()> {
    let name = |text: &str, valid: &[&str]| {
        let known = valid.iter().find(|name| name.eq_ignore_ascii_case(text));
        known.map_or("Unknown", |name| name).to_owned()
    };
    // Kafka leaves ten blanks behind the longest name.
    let width = groups.iter().map(|group| group.id.chars().count()).max().unwrap_or(0).max(15) + 10;
    let mut columns = vec![("GROUP", width)];
    if with_type {
        columns.push(("TYPE", 20));
    }
    if with_state {
        columns.push(("STATE", 20));
    }
    let row = |group: &GroupListing| {
        let kind = with_type.then(|| name(&group.kind, &TYPES));
        let state = with_state.then(|| name(&group.state, &STATES));
        [Some(group.id.clone()), kind, state].into_iter().flatten().collect()
    };
    let rows: Vec<Vec<String>> = groups.iter().map(row).collect();
    write_columns(out, &columns, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_named_in_any_case_and_refused_if_unknown() {
        let given = |text: &str| names("state", "states", Some(&Some(text.to_owned())), &STATES);
        assert_eq!(given("empty, stable").unwrap(), ["Empty", "Stable"]);
        assert_eq!(names("state", "states", Some(&None), &STATES).unwrap(), Vec::<String>::new());
        let refused = given("Empty,Foo").unwrap_err().to_string();
        assert!(
            refused.starts_with("Invalid state list 'Empty,Foo'. Valid states are: "),
            "{refused}"
        );
        let refused = names("types", "types", Some(&Some("foo".into())), &TYPES).unwrap_err().to_string();
        assert_eq!(refused, "Invalid types list 'foo'. Valid types are: Consumer, Classic");
    }

    #[test]
    fn the_table_is_that_of_kafka() {
        let group = GroupListing {
            id: "live-group".into(),
            protocol_type: "consumer".into(),
            state: "Stable".into(),
            kind: "classic".into(),
        };
        let printed = |with_state, with_type| {
            let mut out = Vec::new();
            write_list(&mut out, std::slice::from_ref(&group), with_state, with_type).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            printed(true, true),
            concat!(
                "GROUP                     TYPE                 STATE               \n",
                "live-group                Classic              Stable              \n",
            )
        );
        assert_eq!(
            printed(true, false),
            concat!(
                "GROUP                     STATE               \n",
                "live-group                Stable              \n",
            )
        );
    }
}
