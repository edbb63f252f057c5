//! The REST proxy in the process of a node, where `rest.listeners` asks for it.

use dohle_broker::Companion;
use dohle_broker::config::NodeConfig;
use dohle_client::Properties;
use dohle_rest::{RestConfig, RestServer};

#[derive(Default)]
pub(crate) struct RestBeside(Option<RestServer>);

impl Companion for RestBeside {
    async fn start(&mut self, config: &NodeConfig, bootstrap: &str) -> Result<(), String> {
        let Some(settings) = config.rest() else { return Ok(()) };
        let mut properties = Properties::default();
        properties.set("bootstrap.servers", bootstrap);
        settings.into_iter().for_each(|(key, value)| properties.set(key, value));
        let config = RestConfig::from_properties(&properties).map_err(|error| format!("rest.{error}"))?;
        let server = RestServer::start(config).await;
        self.0 = Some(server.map_err(|error| format!("rest.listeners: {error}"))?);
        Ok(())
    }

    async fn shutdown(self) {
        if let Some(server) = self.0 {
            server.shutdown().await;
        }
    }
}
