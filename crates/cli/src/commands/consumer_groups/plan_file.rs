//! Offsets as CSV, as `--from-file` reads and `--export` prints them: `group,topic,partition,offset`, the group left out if there is
//! only one.

use std::collections::BTreeMap;
use std::io::{self, Write};

use dohle_client::TopicPartition;

/// New offsets of each group.
pub(super) type Plan = BTreeMap<String, BTreeMap<TopicPartition, i64>>;

pub(super) fn parse_plan(text: &str, only_group: Option<&str>) -> anyhow::Result<Plan> {
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
    let without_group =
        |line: &str| matches!(fields(line).as_deref(), Some([_, partition, offset]) if is_number(partition) && is_number(offset));
    let only_group = only_group.filter(|_| lines.first().is_some_and(|(_, line)| without_group(line)));
    let mut plan = Plan::new();
    for (number, line) in lines {
        let expected = if only_group.is_some() {
            "topic,partition,offset"
        } else {
            "group,topic,partition,offset"
        };
        let unreadable = || anyhow::anyhow!("line {number} of the file is not of the form {expected}: {line}");
        let fields = fields(line).ok_or_else(unreadable)?;
        let (group, rest) = match (only_group, fields.as_slice()) {
            (Some(group), rest) => (group, rest),
            (None, [group, rest @ ..]) => (group.as_str(), rest),
            (None, []) => return Err(unreadable()),
        };
        let [topic, partition, offset] = rest else {
            return Err(unreadable());
        };
        let partition = partition.trim().parse().map_err(|_| unreadable())?;
        let offset = offset.trim().parse().map_err(|_| unreadable())?;
        let of_group = plan.entry(group.to_owned()).or_default();
        of_group.insert(TopicPartition::new(topic.as_str(), partition), offset);
    }
    Ok(plan)
}

fn is_number(text: &str) -> bool {
    text.trim().parse::<i64>().is_ok()
}

/// The fields of a line; quotes may enclose one, and are doubled inside. `None` if a quote is not closed.
fn fields(line: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.next_if_eq(&'"').is_some() => fields.last_mut()?.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut()?.push(c),
        }
    }
    (!quoted).then_some(fields)
}

pub(super) fn write_plan(out: &mut impl Write, plan: &Plan, with_group: bool) -> io::Result<()> {
    for (group, offsets) in plan {
        for (tp, offset) in offsets {
            if with_group {
                write!(out, "{},", quoted_if_needed(group))?;
            }
            writeln!(out, "{},{},{offset}", quoted_if_needed(&tp.topic), tp.partition)?;
        }
    }
    Ok(())
}

/// Kafka's tool encloses what is long, and what has a character in the range of the comma and the quote.
fn quoted_if_needed(text: &str) -> String {
    if text.chars().count() > 24 || text.chars().any(|c| c < '-') {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(entries: &[(&str, &str, i32, i64)]) -> Plan {
        let mut plan = Plan::new();
        for &(group, topic, partition, offset) in entries {
            plan.entry(group.into())
                .or_default()
                .insert(TopicPartition::new(topic, partition), offset);
        }
        plan
    }

    #[test]
    fn a_file_may_leave_out_the_only_group() {
        let of_one = "t,0,4\nu,1,5\n";
        assert_eq!(parse_plan(of_one, Some("g")).unwrap(), plan(&[("g", "t", 0, 4), ("g", "u", 1, 5)]));
        let of_two = "g,t,0,4\r\n\nh,u,1,5";
        let both = plan(&[("g", "t", 0, 4), ("h", "u", 1, 5)]);
        assert_eq!(parse_plan(of_two, Some("g")).unwrap(), both);
        assert_eq!(parse_plan(of_two, None).unwrap(), both);
        assert_eq!(parse_plan("", Some("g")).unwrap(), Plan::new());
    }

    #[test]
    fn the_line_that_is_wrong_is_named() {
        for (text, only_group) in [
            ("t,0,4\njunk", Some("g")),
            ("g,t,0,4\ng,t,x,4", Some("g")),
            ("g,t,0,4\nt,0,4", None),
            ("g,t,0,4\n\"g,t,0,4", None),
        ] {
            let error = parse_plan(text, only_group).unwrap_err().to_string();
            assert!(error.starts_with("line 2 of the file"), "{text}: {error}");
        }
        assert!(
            parse_plan("t,0,4", None)
                .unwrap_err()
                .to_string()
                .contains("group,topic,partition,offset")
        );
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = plan(&[("a \"b\", c", "t", 0, 4), ("g", "a-topic-with-a-long-name-x", 1, 5)]);
        let mut out = Vec::new();
        write_plan(&mut out, &written, true).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "\"a \"\"b\"\", c\",t,0,4\ng,\"a-topic-with-a-long-name-x\",1,5\n");
        assert_eq!(parse_plan(&text, None).unwrap(), written);
        let mut out = Vec::new();
        write_plan(&mut out, &plan(&[("g", "t", 0, 4)]), false).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "t,0,4\n");
    }
}
