//! From flags to a client.

use std::path::PathBuf;

use clap::Args;
use dohle_client::{Admin, ClientConfig, Properties};

/// Which server to ask, and how.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server(s) to connect to
    #[arg(long, value_name = "HOST:PORT,...", default_value = "localhost:9092")]
    pub(crate) bootstrap_server: String,
    /// Property file with settings for the client
    #[arg(long, value_name = "FILE")]
    pub(crate) command_config: Option<PathBuf>,
}

impl ServerArgs {
    pub(crate) async fn admin(&self) -> anyhow::Result<Admin> {
        connect_admin(Bootstrap::Servers(&self.bootstrap_server), self.command_config.as_ref()).await
    }
}

/// Whom to ask first: brokers, or the controllers themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bootstrap<'a> {
    Servers(&'a str),
    Controllers(&'a str),
}

impl<'a> Bootstrap<'a> {
    /// From two flags that exclude each other.
    pub(crate) fn of(server: &'a str, controller: Option<&'a str>) -> Bootstrap<'a> {
        controller.map_or(Bootstrap::Servers(server), Bootstrap::Controllers)
    }
}

pub(crate) async fn connect_admin(bootstrap: Bootstrap<'_>, file: Option<&PathBuf>) -> anyhow::Result<Admin> {
    let mut properties = properties_of(file)?;
    match bootstrap {
        Bootstrap::Servers(addresses) => properties.set("bootstrap.servers", addresses),
        Bootstrap::Controllers(addresses) => properties.set("bootstrap.controllers", addresses),
    }
    properties.set_default("client.id", "adminclient-1");
    Ok(Admin::connect(ClientConfig::from_properties(&properties)?).await?)
}

pub(crate) fn properties_of(file: Option<&PathBuf>) -> anyhow::Result<Properties> {
    Ok(file.map(|file| Properties::from_file(file)).transpose()?.unwrap_or_default())
}

/// Runs the asynchronous part of a tool.
pub(crate) fn block_on<T>(tool: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let result = runtime.block_on(tool);
    // A thread may be stuck in a read of standard input.
    runtime.shutdown_background();
    result
}
