//! `dohle metadata-quorum`: who leads the metadata quorum, and who lags; gives controllers a vote, and takes it.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Parser, Subcommand};
use dohle_client::Admin;
use dohle_client::admin::quorum::QuorumDescription;
use dohle_protocol::id::{uuid_from_base64, uuid_to_base64};
use dohle_protocol::messages::add_raft_voter::Listener;
use dohle_protocol::messages::describe_quorum::ReplicaState;
use uuid::Uuid;

use crate::arguments::{run_tool, usage};
use crate::connect::{Bootstrap, block_on, connect_admin};
use crate::controller_listeners::address;
use crate::output::stdout;
use crate::table::write_table;

mod controller_file;

use controller_file::ControllerFile;

/// Describe and change the metadata quorum.
#[derive(Debug, Parser)]
#[command(name = "dohle metadata-quorum", version)]
struct QuorumArgs {
    /// The server(s) to connect to
    #[arg(long, value_name = "HOST:PORT,...", default_value = "localhost:9092", global = true)]
    bootstrap_server: String,
    /// The controller(s) to connect to instead
    #[arg(long, value_name = "HOST:PORT,...", conflicts_with = "bootstrap_server", global = true)]
    bootstrap_controller: Option<String>,
    /// Property file with settings for the client; with add-controller the server.properties of the controller
    #[arg(long, value_name = "FILE", global = true)]
    command_config: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Describe the quorum
    Describe {
        /// A short summary
        #[arg(long)]
        status: bool,
        /// How far each replica of the metadata is
        #[arg(long)]
        replication: bool,
        /// Times as an age
        #[arg(long)]
        human_readable: bool,
    },
    /// Give a controller that runs a vote; --command-config is its server.properties
    AddController {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Take the vote of a controller
    RemoveController {
        /// The id of the controller
        #[arg(long, short = 'i', value_name = "ID", allow_negative_numbers = true)]
        controller_id: i32,
        /// The id of its directory; the number alone decides
        #[arg(
            long,
            short = 'd',
            value_name = "ID",
            default_value = "AAAAAAAAAAAAAAAAAAAAAA",
            allow_hyphen_values = true
        )]
        controller_directory_id: String,
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, metadata_quorum)
}

fn metadata_quorum(args: &QuorumArgs) -> anyhow::Result<ExitCode> {
    match &args.action {
        Action::Describe {
            status,
            replication,
            human_readable,
        } => match (status, replication) {
            (false, false) => anyhow::bail!("One of --status or --replication must be specified with describe sub-command"),
            (true, true) => anyhow::bail!("Only one of --status or --replication should be specified with describe sub-command"),
            (true, false) if *human_readable => usage("The option --human-readable is only supported along with --replication"),
            (true, false) => describe_status(args),
            (false, true) => describe_replication(args, *human_readable),
        },
        Action::AddController { dry_run } => add_controller(args, *dry_run),
        Action::RemoveController {
            controller_id,
            controller_directory_id,
            dry_run,
        } => remove_controller(args, *controller_id, controller_directory_id, *dry_run),
    }
}

impl QuorumArgs {
    async fn admin(&self, settings: Option<&PathBuf>) -> anyhow::Result<Admin> {
        let bootstrap = Bootstrap::of(&self.bootstrap_server, self.bootstrap_controller.as_deref());
        connect_admin(bootstrap, settings).await
    }
}

fn describe_status(args: &QuorumArgs) -> anyhow::Result<ExitCode> {
    block_on(async {
        let admin = args.admin(args.command_config.as_ref()).await?;
        let cluster_id = admin.describe_cluster(false).await?.cluster_id.unwrap_or_default();
        let quorum = admin.describe_quorum().await?;
        let mut out = stdout();
        write_status(&mut out, &cluster_id, &quorum)?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

fn describe_replication(args: &QuorumArgs, human_readable: bool) -> anyhow::Result<ExitCode> {
    block_on(async {
        let quorum = args.admin(args.command_config.as_ref()).await?.describe_quorum().await?;
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        let mut out = stdout();
        write_replication(&mut out, &quorum, human_readable.then_some(now_ms))?;
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

fn add_controller(args: &QuorumArgs, dry_run: bool) -> anyhow::Result<ExitCode> {
    let file = args
        .command_config
        .as_ref()
        .context("You must supply the configuration file of the controller you are adding when using add-controller.")?;
    let controller = ControllerFile::read(file)?;
    let endpoints: Vec<String> = controller.listeners.iter().map(endpoint).collect();
    if !dry_run {
        // The file is that of a server, hence holds no settings of the client.
        block_on(async {
            let admin = args.admin(None).await?;
            let listeners = controller.listeners.clone();
            Ok(admin.add_voter(controller.id, controller.directory_id, listeners).await?)
        })?;
    }
    println!(
        "{} controller {} with directory id {} and endpoints: {}",
        if dry_run { "DRY RUN of adding" } else { "Added" },
        controller.id,
        uuid_to_base64(&controller.directory_id),
        endpoints.join(", ")
    );
    Ok(ExitCode::SUCCESS)
}

fn remove_controller(args: &QuorumArgs, id: i32, directory_id: &str, dry_run: bool) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(id >= 0, "Invalid negative --controller-id: {id}");
    let directory: Uuid = uuid_from_base64(directory_id)
        .with_context(|| format!("Failed to parse --controller-directory-id: {directory_id} is not the 22 characters of an id"))?;
    if !dry_run {
        block_on(async { Ok(args.admin(args.command_config.as_ref()).await?.remove_voter(id, directory).await?) })?;
    }
    // Two blanks, as in Kafka.
    let done = if dry_run { "DRY RUN of removing " } else { "Removed " };
    println!("{done} KRaft controller {id} with directory id {directory_id}");
    Ok(ExitCode::SUCCESS)
}

fn endpoint(listener: &Listener) -> String {
    format!("{}://{}", listener.name, address(&listener.host, listener.port))
}

fn write_status(out: &mut impl Write, cluster_id: &str, quorum: &QuorumDescription) -> io::Result<()> {
    let leader = quorum.voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
    let slowest = quorum.voters.iter().min_by_key(|voter| voter.log_end_offset);
    let (lag, lag_ms) = match (leader, slowest) {
        (Some(leader), Some(slowest)) => (leader.log_end_offset - slowest.log_end_offset, lag_time_ms(leader, slowest)),
        _ => (-1, -1),
    };
    writeln!(out, "ClusterId:              {cluster_id}")?;
    writeln!(out, "LeaderId:               {}", quorum.leader_id)?;
    writeln!(out, "LeaderEpoch:            {}", quorum.leader_epoch)?;
    writeln!(out, "HighWatermark:          {}", quorum.high_watermark)?;
    writeln!(out, "MaxFollowerLag:         {lag}")?;
    writeln!(out, "MaxFollowerLagTimeMs:   {lag_ms}")?;
    writeln!(out, "CurrentVoters:          {}", replicas(quorum, &quorum.voters))?;
    writeln!(out, "CurrentObservers:       {}", replicas(quorum, &quorum.observers))
}

fn lag_time_ms(leader: &ReplicaState, slowest: &ReplicaState) -> i64 {
    match (leader.last_caught_up_timestamp, slowest.last_caught_up_timestamp) {
        _ if leader.replica_id == slowest.replica_id => 0,
        (-1, _) | (_, -1) => -1,
        (leader, slowest) => leader - slowest,
    }
}

/// `[{"id": 1, "directoryId": null, "endpoints": ["CONTROLLER://localhost:9093"]}]`
fn replicas(quorum: &QuorumDescription, replicas: &[ReplicaState]) -> String {
    let describe = |replica: &ReplicaState| {
        let directory = match replica.replica_directory_id.is_nil() {
            true => "null".to_owned(),
            false => format!("\"{}\"", uuid_to_base64(&replica.replica_directory_id)),
        };
        let node = quorum.nodes.iter().find(|node| node.node_id == replica.replica_id);
        let node = node.filter(|node| !node.listeners.is_empty());
        let endpoints = node.map_or_else(String::new, |node| {
            let endpoints = node.listeners.iter().map(|l| format!("\"{}://{}:{}\"", l.name, l.host, l.port));
            format!(", \"endpoints\": [{}]", endpoints.collect::<Vec<_>>().join(", "))
        });
        format!("{{\"id\": {}, \"directoryId\": {directory}{endpoints}}}", replica.replica_id)
    };
    format!("[{}]", replicas.iter().map(describe).collect::<Vec<_>>().join(", "))
}

/// With `now_ms` times are printed as an age.
fn write_replication(out: &mut impl Write, quorum: &QuorumDescription, now_ms: Option<i64>) -> io::Result<()> {
    let is_leader = |replica: &&ReplicaState| replica.replica_id == quorum.leader_id;
    let leader_end = quorum.voters.iter().find(is_leader).map_or(0, |leader| leader.log_end_offset);
    let time = |timestamp_ms: i64| match now_ms {
        Some(now_ms) if timestamp_ms >= 0 => format!("{} ms ago", now_ms - timestamp_ms),
        _ => timestamp_ms.to_string(),
    };
    let row = |replica: &ReplicaState, status: &str| {
        vec![
            replica.replica_id.to_string(),
            uuid_to_base64(&replica.replica_directory_id),
            replica.log_end_offset.to_string(),
            (leader_end - replica.log_end_offset).to_string(),
            time(replica.last_fetch_timestamp),
            time(replica.last_caught_up_timestamp),
            status.to_owned(),
        ]
    };
    let leaders = quorum.voters.iter().filter(is_leader).map(|replica| row(replica, "Leader"));
    let followers = quorum
        .voters
        .iter()
        .filter(|replica| !is_leader(replica))
        .map(|replica| row(replica, "Follower"));
    let observers = quorum.observers.iter().map(|replica| row(replica, "Observer"));
    let rows: Vec<Vec<String>> = leaders.chain(followers).chain(observers).collect();
    write_table(
        out,
        &[
            "NodeId",
            "DirectoryId",
            "LogEndOffset",
            "Lag",
            "LastFetchTimestamp",
            "LastCaughtUpTimestamp",
            "Status",
        ],
        &rows,
    )
}

#[cfg(test)]
mod tests {
    use dohle_protocol::messages::describe_quorum::{Listener, Node};

    use super::*;

    fn quorum() -> QuorumDescription {
        let voter = |replica_id, log_end_offset, caught_up| ReplicaState {
            replica_id,
            log_end_offset,
            last_fetch_timestamp: caught_up,
            last_caught_up_timestamp: caught_up,
            ..Default::default()
        };
        let listener = Listener {
            name: "CONTROLLER".into(),
            host: "127.0.0.1".into(),
            port: 9093,
            ..Default::default()
        };
        QuorumDescription {
            leader_id: 1,
            leader_epoch: 7,
            high_watermark: 90,
            voters: vec![voter(2, 90, 500), voter(1, 100, 1000)],
            observers: vec![],
            nodes: vec![Node {
                node_id: 1,
                listeners: vec![listener],
                ..Default::default()
            }],
        }
    }

    #[test]
    fn the_summary_is_that_of_kafka() {
        let mut out = Vec::new();
        write_status(&mut out, "id", &quorum()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ClusterId:              id\n\
             LeaderId:               1\n\
             LeaderEpoch:            7\n\
             HighWatermark:          90\n\
             MaxFollowerLag:         10\n\
             MaxFollowerLagTimeMs:   500\n\
             CurrentVoters:          [{\"id\": 2, \"directoryId\": null}, {\"id\": 1, \"directoryId\": null, \"endpoints\": [\"CONTROLLER://127.0.0.1:9093\"]}]\n\
             CurrentObservers:       []\n"
        );
    }

    #[test]
    fn the_leader_comes_first_and_ages_are_relative() {
        let mut out = Vec::new();
        write_replication(&mut out, &quorum(), Some(1500)).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').map(str::trim).collect()).collect();
        assert_eq!(
            lines[1],
            ["1", "AAAAAAAAAAAAAAAAAAAAAA", "100", "0", "500 ms ago", "500 ms ago", "Leader", ""]
        );
        assert_eq!(
            lines[2],
            [
                "2",
                "AAAAAAAAAAAAAAAAAAAAAA",
                "90",
                "10",
                "1000 ms ago",
                "1000 ms ago",
                "Follower",
                ""
            ]
        );
    }
}
