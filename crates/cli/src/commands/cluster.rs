//! `dohle cluster`: the cluster id, where the brokers listen, and the end of a registration.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use dohle_client::admin::cluster_info::DescribedBroker;
use dohle_client::{Admin, ClientError};

use crate::arguments::run_tool;
use crate::connect::{Bootstrap, block_on, connect_admin};
use crate::output::stdout;

/// Print facts about a cluster.
#[derive(Debug, Parser)]
#[command(name = "dohle cluster", version)]
struct ClusterArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print the id of the cluster
    ClusterId(#[command(flatten)] Server),
    /// Print the address of each broker
    ListEndpoints {
        #[command(flatten)]
        server: Server,
        /// Also brokers that are registered but not in service
        #[arg(long)]
        include_fenced_brokers: bool,
    },
    /// Forget a broker that will not come back
    Unregister {
        #[command(flatten)]
        server: Server,
        /// The id of the broker
        #[arg(long, short, value_name = "ID")]
        id: i32,
    },
}

#[derive(Debug, Args)]
struct Server {
    /// The server(s) to connect to
    #[arg(long, short, value_name = "HOST:PORT,...", default_value = "localhost:9092")]
    bootstrap_server: String,
    /// The controller(s) to connect to instead
    #[arg(long, short = 'C', value_name = "HOST:PORT,...", conflicts_with = "bootstrap_server")]
    bootstrap_controller: Option<String>,
    /// Property file with settings for the client
    #[arg(long, short, visible_alias = "config", value_name = "FILE")]
    command_config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, cluster)
}

fn cluster(args: &ClusterArgs) -> anyhow::Result<ExitCode> {
    let (Action::ClusterId(server) | Action::ListEndpoints { server, .. } | Action::Unregister { server, .. }) = &args.action;
    block_on(async {
        let bootstrap = Bootstrap::of(&server.bootstrap_server, server.bootstrap_controller.as_deref());
        let admin = connect_admin(bootstrap, server.command_config.as_ref()).await?;
        let mut out = stdout();
        match &args.action {
            Action::ClusterId(_) => match admin.describe_cluster(false).await?.cluster_id {
                Some(id) => writeln!(out, "Cluster ID: {id}")?,
                None => writeln!(out, "No cluster ID found. The Kafka version is probably too old.")?,
            },
            Action::ListEndpoints {
                include_fenced_brokers, ..
            } => {
                let described = admin.describe_cluster(*include_fenced_brokers).await?;
                write_endpoints(&mut out, &described.brokers)?;
            }
            Action::Unregister { id, .. } => unregister(&admin, *id, &mut out).await?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn unregister(admin: &Admin, id: i32, out: &mut impl Write) -> anyhow::Result<()> {
    match admin.unregister_broker(id).await {
        Ok(()) => writeln!(out, "Broker {id} is no longer registered.")?,
        Err(ClientError::Unsupported { .. }) => {
            writeln!(out, "The target cluster does not support the broker unregistration API.")?;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn write_endpoints(out: &mut impl Write, brokers: &[DescribedBroker]) -> io::Result<()> {
    let width = brokers
        .iter()
        .map(|described| described.broker.host.len())
        .max()
        .unwrap_or(0)
        .max("HOST".len());
    writeln!(
        out,
        "{:<10} {:<width$} {:<10} {:<10} {:<10} {:<15}",
        "ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"
    )?;
    for DescribedBroker { broker, is_fenced } in brokers {
        let rack = broker.rack.as_deref().unwrap_or("null");
        let state = if *is_fenced { "fenced" } else { "unfenced" };
        writeln!(
            out,
            "{:<10} {:<width$} {:<10} {rack:<10} {state:<10} {:<15}",
            broker.id, broker.host, broker.port, "broker"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dohle_client::cluster_metadata::Broker;

    use super::*;

    #[test]
    fn endpoints_are_the_columns_of_kafka() {
        let broker = Broker {
            id: 1,
            host: "127.0.0.1".into(),
            port: 19192,
            rack: None,
        };
        let mut out = Vec::new();
        write_endpoints(&mut out, &[DescribedBroker { broker, is_fenced: false }]).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "ID         HOST      PORT       RACK       STATE      ENDPOINT_TYPE  \n\
             1          127.0.0.1 19192      null       unfenced   broker         \n"
        );
    }
}
