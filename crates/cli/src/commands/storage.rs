//! `dohle storage`: makes ids, formats log directories, says what they are. A node formats its directories itself at its first
//! start; this is for those who want to choose the cluster's id.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dohle_client::Properties;
use dohle_protocol::id::{BrokerId, uuid_to_base64};
use dohle_storage::{MetaProperties, RealDisk};
use uuid::Uuid;

use crate::arguments::{run_tool, usage};

/// Format and inspect log directories, and make ids.
#[derive(Debug, Parser)]
#[command(name = "dohle storage", version)]
struct StorageArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print a random id
    RandomUuid,
    /// Say what the log directories are
    Info(#[command(flatten)] Directories),
    /// Give log directories their identity
    Format(FormatArgs),
}

#[derive(Debug, Args)]
struct Directories {
    /// The server.properties of the node
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The log directory, instead of those of the properties
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct FormatArgs {
    #[command(flatten)]
    directories: Directories,
    /// The id of the cluster, as random-uuid makes it
    #[arg(long, short = 't', value_name = "ID")]
    cluster_id: String,
    /// Leave directories alone that are formatted already
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// The node is its cluster's only controller; it is by default
    #[arg(long, short)]
    standalone: bool,
    /// Accepted for compatibility: the voters are those of the properties
    #[arg(long, short = 'N', conflicts_with = "standalone")]
    no_initial_controllers: bool,
    /// Accepted for compatibility: every release has one format
    #[arg(long, short, value_name = "RELEASE")]
    release_version: Option<String>,
}

/// What a node would use.
#[derive(Debug, PartialEq, Eq)]
struct NodeDirectories {
    paths: Vec<PathBuf>,
    node_id: i32,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, |args: &StorageArgs| match &args.action {
        Action::RandomUuid => {
            println!("{}", random_id());
            Ok(ExitCode::SUCCESS)
        }
        Action::Info(directories) => {
            let (text, healthy) = info(&node_directories(directories)?)?;
            print!("{text}");
            Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Action::Format(args) => format(args),
    })
}

/// Like Kafka's, never beginning with a dash, which would look like a flag.
fn random_id() -> String {
    loop {
        let id = uuid_to_base64(&Uuid::new_v4());
        if !id.starts_with('-') {
            return id;
        }
    }
}

fn node_directories(args: &Directories) -> anyhow::Result<NodeDirectories> {
    let properties = match (&args.config, &args.data_dir) {
        (None, None) => return usage("One of --config and --data-dir is required"),
        (Some(file), _) => Properties::from_file(file)?,
        (None, Some(_)) => Properties::default(),
    };
    let id = properties.get("node.id").or(properties.get("broker.id")).unwrap_or("1");
    let node_id = id.parse().map_err(|_| anyhow::anyhow!("node.id is not a number: {id}"))?;
    let dirs = properties.get("log.dirs").or(properties.get("log.dir")).unwrap_or("./dohle-data");
    let paths = match &args.data_dir {
        Some(dir) => vec![dir.clone()],
        None => {
            let mut paths: Vec<PathBuf> = dirs.split(',').map(|dir| PathBuf::from(dir.trim())).collect();
            paths.extend(properties.get("metadata.log.dir").map(PathBuf::from));
            paths.sort();
            paths.dedup();
            paths
        }
    };
    Ok(NodeDirectories { paths, node_id })
}

fn format(args: &FormatArgs) -> anyhow::Result<ExitCode> {
    let node = node_directories(&args.directories)?;
    anyhow::ensure!(!args.cluster_id.trim().is_empty(), "The cluster id may not be empty");
    let mut formatted = 0;
    for dir in &node.paths {
        if MetaProperties::read(&RealDisk::new(), dir)?.is_some() {
            anyhow::ensure!(
                args.ignore_formatted,
                "Log directory {} is already formatted. Use --ignore-formatted to ignore this directory and format the others.",
                dir.display()
            );
            continue;
        }
        std::fs::create_dir_all(dir)?;
        let meta = MetaProperties {
            cluster_id: args.cluster_id.clone(),
            node_id: BrokerId(node.node_id),
            directory_id: Some(Uuid::new_v4()),
        };
        meta.write(&RealDisk::new(), dir)?;
        println!("Formatting data directory {}.", dir.display());
        formatted += 1;
    }
    if formatted == 0 {
        println!("All of the log directories are already formatted.");
    }
    Ok(ExitCode::SUCCESS)
}

/// The report, and whether nothing is wrong.
fn info(node: &NodeDirectories) -> anyhow::Result<(String, bool)> {
    let mut found: Vec<&Path> = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    let mut metadata: Vec<MetaProperties> = Vec::new();
    for dir in &node.paths {
        if !dir.is_dir() {
            problems.push(format!(
                "{} {}",
                dir.display(),
                if dir.exists() { "is not a directory" } else { "does not exist" }
            ));
            continue;
        }
        found.push(dir);
        match MetaProperties::read(&RealDisk::new(), dir) {
            Ok(Some(meta)) => metadata.push(meta),
            Ok(None) => problems.push(format!("{} is not formatted.", dir.display())),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if let Some(other) = metadata.iter().find(|meta| meta.cluster_id != metadata[0].cluster_id) {
        problems.push(format!(
            "The directories belong to different clusters: {} and {}",
            metadata[0].cluster_id, other.cluster_id
        ));
    }
    let mut text = String::new();
    let plural = |what: &str, one: &str, many: &str, count: usize| format!("{what}{}:", if count == 1 { one } else { many });
    if !found.is_empty() {
        writeln!(text, "{}", plural("Found log director", "y", "ies", found.len()))?;
        found.iter().try_for_each(|dir| writeln!(text, "  {}", dir.display()))?;
        writeln!(text)?;
    }
    if let Some(meta) = metadata.first() {
        let directory = meta
            .directory_id
            .map(|id| format!("directory.id={}, ", uuid_to_base64(&id)))
            .unwrap_or_default();
        writeln!(
            text,
            "Found metadata: {{cluster.id={}, {directory}node.id={}, version=1}}\n",
            meta.cluster_id, meta.node_id
        )?;
    }
    if !problems.is_empty() {
        writeln!(text, "{}", plural("Found problem", "", "s", problems.len()))?;
        problems.iter().try_for_each(|problem| writeln!(text, "  {problem}"))?;
        writeln!(text)?;
    }
    Ok((text, problems.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(text: &str) -> NodeDirectories {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        node_directories(&Directories {
            config: Some(file.path().to_owned()),
            data_dir: None,
        })
        .unwrap()
    }

    #[test]
    fn the_properties_name_directories_and_node() {
        let node = directories("node.id=7\nlog.dirs=/b, /a\nmetadata.log.dir=/c\n");
        assert_eq!(
            node,
            NodeDirectories {
                paths: vec!["/a".into(), "/b".into(), "/c".into()],
                node_id: 7
            }
        );
        assert_eq!(directories("log.dir=/x").paths, [PathBuf::from("/x")]);
        assert_eq!(directories("").paths, [PathBuf::from("./dohle-data")]);
    }

    #[test]
    fn a_directory_is_formatted_once_and_then_known() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let format_args = |ignore_formatted| FormatArgs {
            directories: Directories {
                config: None,
                data_dir: Some(data.clone()),
            },
            cluster_id: "AInY07pnSWObwD49BC1fGQ".into(),
            ignore_formatted,
            standalone: false,
            no_initial_controllers: false,
            release_version: None,
        };
        let node = NodeDirectories {
            paths: vec![data.clone()],
            node_id: 1,
        };
        let (text, healthy) = info(&node).unwrap();
        assert!(
            !healthy && text.contains("Found problem:\n") && text.contains("does not exist"),
            "{text}"
        );
        format(&format_args(false)).unwrap();
        let (text, healthy) = info(&node).unwrap();
        assert!(
            healthy && text.contains("Found metadata: {cluster.id=AInY07pnSWObwD49BC1fGQ, directory.id="),
            "{text}"
        );
        assert!(format(&format_args(false)).unwrap_err().to_string().contains("already formatted"));
        format(&format_args(true)).unwrap();
        assert_eq!(info(&node).unwrap().0, text, "the directory was left alone");
    }
}
