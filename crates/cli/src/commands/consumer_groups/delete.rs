//! `--delete` and `--delete-offsets`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use dohle_client::admin::groups::PerGroup;
use dohle_client::{Admin, ClientError, TopicPartition};

use super::columns::write_columns;
use super::partitions::{TopicArgument, partitions_of};
use super::write_error;

pub(super) async fn delete_groups(admin: &Admin, groups: &[String], out: &mut impl Write) -> anyhow::Result<()> {
    write_deleted(out, &admin.delete_groups(groups).await?)?;
    Ok(())
}

fn write_deleted(out: &mut impl Write, results: &PerGroup<()>) -> std::io::Result<()> {
    let deleted = results
        .iter()
        .filter(|(_, result)| result.is_ok())
        .map(|(group, _)| format!("'{group}'"));
    let deleted = deleted.collect::<Vec<_>>().join(", ");
    if results.values().all(Result::is_ok) {
        return writeln!(out, "Deletion of requested consumer groups ({deleted}) was successful.");
    }
    write_error(out, "Deletion of some consumer groups failed:")?;
    for (group, result) in results {
        if let Err(error) = result {
            writeln!(out, "* Group '{group}' could not be deleted due to: {error}")?;
        }
    }
    if !deleted.is_empty() {
        writeln!(out, "\nThese consumer groups were deleted successfully: {deleted}")?;
    }
    Ok(())
}

/// A partition, or a topic of which no partition is known, and what became of it.
type Deleted = BTreeMap<(String, Option<i32>), Result<(), ClientError>>;

pub(super) async fn delete_offsets(admin: &Admin, group: &str, topics: &[String], out: &mut impl Write) -> anyhow::Result<()> {
    let mut results = Deleted::new();
    let mut partitions: BTreeSet<TopicPartition> = BTreeSet::new();
    for argument in topics {
        let TopicArgument { topic, partitions: named } = TopicArgument::parse(argument)?;
        match named {
            Some(named) => partitions.extend(named.into_iter().map(|partition| TopicPartition::new(topic.as_str(), partition))),
            None => match partitions_of(admin, &topic).await {
                Ok(existing) => partitions.extend(existing),
                Err(error) if error.code().is_some() => drop(results.insert((topic, None), Err(error))),
                Err(error) => return Err(error.into()),
            },
        }
    }
    let partitions: Vec<TopicPartition> = partitions.into_iter().collect();
    let mut refused = None;
    match admin.delete_group_offsets(group, &partitions).await {
        Ok(answers) => results.extend(answers.into_iter().map(|(tp, answer)| (place(&tp), answer))),
        Err(error) if error.code().is_some() => {
            results.extend(partitions.iter().map(|tp| (place(tp), Err(error.clone()))));
            refused = Some(error);
        }
        Err(error) => return Err(error.into()),
    }
    write_deleted_offsets(out, group, refused.as_ref(), &results)?;
    Ok(())
}

fn place(tp: &TopicPartition) -> (String, Option<i32>) {
    (tp.topic.to_string(), Some(tp.partition))
}

fn write_deleted_offsets(out: &mut impl Write, group: &str, refused: Option<&ClientError>, results: &Deleted) -> std::io::Result<()> {
    match refused {
        Some(error) => write_error(out, error)?,
        None if results.values().any(Result::is_err) => {
            write_error(out, "Encountered some partition-level error, see the follow-up details.")?;
        }
        None => writeln!(out, "Request succeeded for deleting offsets from group {group}.")?,
    }
    let row = |((topic, partition), result): (&(String, Option<i32>), &Result<(), ClientError>)| {
        let partition = partition.map_or_else(|| "-".to_owned(), |partition| partition.to_string());
        let status = match result {
            Ok(()) => "Successful".to_owned(),
            Err(error) => format!("Error: {error}"),
        };
        vec![topic.clone(), partition, status]
    };
    let rows: Vec<Vec<String>> = results.iter().map(row).collect();
    writeln!(out)?;
    write_columns(out, &[("TOPIC", 15), ("PARTITION", 10), ("STATUS", 15)], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn error() -> ClientError {
        ClientError::refused(68, Some("The group is not empty.".into()))
    }

    #[test]
    fn deleted_groups_are_told_in_kafkas_words() {
        let all = PerGroup::from([("a".to_owned(), Ok(())), ("b".to_owned(), Ok(()))]);
        assert_eq!(
            text(|out| write_deleted(out, &all)),
            "Deletion of requested consumer groups ('a', 'b') was successful.\n"
        );
        let some = PerGroup::from([("a".to_owned(), Ok(())), ("live".to_owned(), Err(error()))]);
        assert_eq!(
            text(|out| write_deleted(out, &some)),
            concat!(
                "\nError: Deletion of some consumer groups failed:\n",
                "* Group 'live' could not be deleted due to: The group is not empty.\n",
                "\nThese consumer groups were deleted successfully: 'a'\n",
            )
        );
    }

    #[test]
    fn deleted_offsets_are_told_partition_by_partition() {
        let all = Deleted::from([(("t".to_owned(), Some(0)), Ok(()))]);
        assert_eq!(
            text(|out| write_deleted_offsets(out, "g", None, &all)),
            concat!(
                "Request succeeded for deleting offsets from group g.\n",
                "\n",
                "TOPIC           PARTITION  STATUS         \n",
                "t               0          Successful     \n",
            )
        );
        let some = Deleted::from([(("t".to_owned(), Some(0)), Ok(())), (("missing".to_owned(), None), Err(error()))]);
        assert_eq!(
            text(|out| write_deleted_offsets(out, "g", None, &some)),
            concat!(
                "\nError: Encountered some partition-level error, see the follow-up details.\n",
                "\n",
                "TOPIC           PARTITION  STATUS         \n",
                "missing         -          Error: The group is not empty.\n",
                "t               0          Successful     \n",
            )
        );
        let refused = text(|out| write_deleted_offsets(out, "g", Some(&error()), &Deleted::new()));
        assert!(refused.starts_with("\nError: The group is not empty.\n"), "{refused}");
    }
}
