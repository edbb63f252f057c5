//! `dohle storage`: makes ids, formats log directories, says what they are. A node formats its directories itself at its first
//! start; this is for those who want to choose the cluster's id.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dohle_client::Properties;
use dohle_protocol::id::{BrokerId, uuid_to_base64};
use dohle_storage::{MetaProperties, RealDisk, initial_controllers as stored_controllers};
use uuid::Uuid;

use crate::arguments::{run_tool, usage};
use crate::controller_listeners::{address, controller_listeners};

mod initial_controllers;

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
    /// The node is the first and only voter of its cluster; others can be added
    #[arg(long, short)]
    standalone: bool,
    /// The voters are those of the properties, or the node waits until it is added; so it is by default
    #[arg(long, short = 'N', conflicts_with = "standalone")]
    no_initial_controllers: bool,
    /// The first voters, the same for all nodes; for properties without controller.quorum.voters
    #[arg(long, short = 'I', value_name = "ID@HOST:PORT:DIRECTORY_ID,...", conflicts_with_all = ["standalone", "no_initial_controllers"])]
    initial_controllers: Option<String>,
    /// Accepted for compatibility: every release has one format
    #[arg(long, short, value_name = "RELEASE")]
    release_version: Option<String>,
}

/// What a node would use.
#[derive(Debug, PartialEq, Eq)]
struct NodeDirectories {
    paths: Vec<PathBuf>,
    /// The one of them that holds the metadata.
    metadata: PathBuf,
    node_id: i32,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, |args: &StorageArgs| match &args.action {
        Action::RandomUuid => {
            println!("{}", random_id());
            Ok(ExitCode::SUCCESS)
        }
        Action::Info(directories) => {
            let (text, healthy) = info(&node_directories(directories, &properties(directories)?)?)?;
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

fn properties(args: &Directories) -> anyhow::Result<Properties> {
    match (&args.config, &args.data_dir) {
        (None, None) => usage("One of --config and --data-dir is required"),
        (Some(file), _) => Ok(Properties::from_file(file)?),
        (None, Some(_)) => Ok(Properties::default()),
    }
}

fn node_directories(args: &Directories, properties: &Properties) -> anyhow::Result<NodeDirectories> {
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
    let first = dirs.split(',').map(str::trim).find(|dir| !dir.is_empty()).unwrap_or_default();
    let metadata = args.data_dir.clone().unwrap_or_else(|| PathBuf::from(first));
    Ok(NodeDirectories { paths, metadata, node_id })
}

fn format(args: &FormatArgs) -> anyhow::Result<ExitCode> {
    let properties = properties(&args.directories)?;
    let node = node_directories(&args.directories, &properties)?;
    anyhow::ensure!(!args.cluster_id.trim().is_empty(), "The cluster id may not be empty");
    let voters = Voters::of(args, &properties, node.node_id)?;
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
        let given = voters.directory_id.filter(|_| *dir == node.metadata);
        let meta = MetaProperties {
            cluster_id: args.cluster_id.clone(),
            node_id: BrokerId(node.node_id),
            directory_id: Some(given.unwrap_or_else(Uuid::new_v4)),
        };
        if let Some(text) = voters.text.as_ref().filter(|_| *dir == node.metadata) {
            stored_controllers::write(&RealDisk::new(), dir, text)?;
        }
        meta.write(&RealDisk::new(), dir)?;
        println!("Formatting data directory {}.", dir.display());
        formatted += 1;
    }
    if formatted == 0 {
        println!("All of the log directories are already formatted.");
    }
    Ok(ExitCode::SUCCESS)
}

/// Who forms the quorum, as far as the flags say.
#[derive(Debug)]
struct Voters {
    /// As `controller.quorum.voters` would name them.
    text: Option<String>,
    /// Of the directory that holds the metadata of this node.
    directory_id: Option<Uuid>,
}

impl Voters {
    fn of(args: &FormatArgs, properties: &Properties, node_id: i32) -> anyhow::Result<Voters> {
        let static_voters = properties
            .get("controller.quorum.voters")
            .is_some_and(|voters| !voters.trim().is_empty());
        if static_voters && (args.standalone || args.initial_controllers.is_some()) {
            return usage("controller.quorum.voters names the voters already: leave out --standalone and --initial-controllers");
        }
        if let Some(text) = &args.initial_controllers {
            let controllers = initial_controllers::parse(text)?;
            let this = controllers.iter().find(|controller| controller.id == node_id);
            return Ok(Voters {
                directory_id: this.map(|controller| controller.directory_id),
                text: Some(initial_controllers::voters(&controllers)),
            });
        }
        // A node without a listener of a controller is alone anyway.
        let listens = properties.get("controller.listener.names").is_some();
        let text = match args.standalone && listens {
            true => controller_listeners(properties)?
                .first()
                .map(|listener| format!("{node_id}@{}", address(&listener.host, listener.port))),
            false => None,
        };
        Ok(Voters { text, directory_id: None })
    }
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
        let args = Directories {
            config: Some(file.path().to_owned()),
            data_dir: None,
        };
        node_directories(&args, &properties(&args).unwrap()).unwrap()
    }

    #[test]
    fn the_properties_name_directories_and_node() {
        let node = directories("node.id=7\nlog.dirs=/b, /a\nmetadata.log.dir=/c\n");
        assert_eq!(
            node,
            NodeDirectories {
                paths: vec!["/a".into(), "/b".into(), "/c".into()],
                metadata: "/b".into(),
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
            initial_controllers: None,
            release_version: None,
        };
        let node = NodeDirectories {
            paths: vec![data.clone()],
            metadata: data.clone(),
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
    /// Formats with these flags and properties; what is stored of the voters, and the id of the directory.
    fn formatted(flags: &[&str], text: &str) -> Result<(Option<String>, Option<Uuid>), String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("server.properties");
        let data = dir.path().join("data");
        std::fs::write(&file, format!("{text}log.dirs={}\n", data.display())).unwrap();
        let all = ["format", "-t", "AInY07pnSWObwD49BC1fGQ", "-c", file.to_str().unwrap()];
        let args = StorageArgs::try_parse_from([&["storage"], &all[..], flags].concat()).map_err(|error| error.to_string())?;
        let Action::Format(args) = args.action else {
            unreachable!("format was asked for")
        };
        format(&args).map_err(|error| error.to_string())?;
        let meta = MetaProperties::read(&RealDisk::new(), &data).unwrap().unwrap();
        Ok((stored_controllers::read(&RealDisk::new(), &data).unwrap(), meta.directory_id))
    }

    #[test]
    fn the_first_voters_are_kept_for_the_start() {
        let listener = "node.id=2\ncontroller.listener.names=CONTROLLER\nlisteners=CONTROLLER://h:9093\n";
        let two = "1@a:1:JEXY6aqzQY-32P5TStzaFg,2@b:2:MvDxzVmcRsaTz33bUuRU6A";
        let (voters, directory_id) = formatted(&["--initial-controllers", two], listener).unwrap();
        assert_eq!(voters.as_deref(), Some("1@a:1,2@b:2"));
        assert_eq!(directory_id, dohle_protocol::id::uuid_from_base64("MvDxzVmcRsaTz33bUuRU6A"));
        assert_eq!(formatted(&["--standalone"], listener).unwrap().0.as_deref(), Some("2@h:9093"));
        assert_eq!(formatted(&["--standalone"], "node.id=2\n").unwrap().0, None);
        assert_eq!(formatted(&["--no-initial-controllers"], listener).unwrap().0, None);
        let both = formatted(&["--standalone", "--initial-controllers", two], listener).unwrap_err();
        assert!(both.contains("cannot be used with"), "{both}");
        let named = formatted(&["--standalone"], "controller.quorum.voters=1@a:1\n").unwrap_err();
        assert!(named.contains("controller.quorum.voters"), "{named}");
    }
}
