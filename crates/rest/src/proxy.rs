//! What all requests share.

use std::sync::Arc;

use dohle_client::{Admin, ClientConfig, ClientError, Cluster, Consumer, ConsumerConfig, Producer, ProducerConfig, Properties};
use tokio::sync::{OnceCell, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::byte_budget::ByteBudget;
use crate::config::RestConfig;
use crate::error::RestError;
use crate::instances::Instances;
use crate::limits::{ANSWERS_BYTES_MAX, BODIES_BYTES_MAX, BODY_BYTES_MAX, READS_IN_FLIGHT_MAX, STREAMS_MAX, TOPIC_WAIT_MAX};
use crate::metrics::Metrics;

pub(crate) struct Proxy {
    pub(crate) config: RestConfig,
    pub(crate) bodies: ByteBudget,
    pub(crate) answers: ByteBudget,
    pub(crate) instances: Instances,
    pub(crate) metrics: Metrics,
    reads: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    /// Streams of records end.
    pub(crate) closing: CancellationToken,
    /// Connected by the first request that needs it, so that the proxy starts before its cluster.
    cluster: OnceCell<Arc<Cluster>>,
    /// Another one, because answers come in order: a produce request that takes its time holds up no reader.
    consumers: OnceCell<Arc<Cluster>>,
    producer: OnceCell<Producer>,
}

impl Proxy {
    pub(crate) fn new(config: RestConfig) -> Arc<Proxy> {
        Arc::new(Proxy {
            bodies: ByteBudget::new(BODIES_BYTES_MAX, "requests"),
            answers: ByteBudget::new(ANSWERS_BYTES_MAX, "answers"),
            instances: Instances::new(&config),
            metrics: Metrics::new(),
            reads: Arc::new(Semaphore::new(READS_IN_FLIGHT_MAX)),
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            closing: CancellationToken::new(),
            cluster: OnceCell::new(),
            consumers: OnceCell::new(),
            producer: OnceCell::new(),
            config,
        })
    }

    pub(crate) async fn cluster(&self) -> Result<&Arc<Cluster>, ClientError> {
        self.cluster.get_or_try_init(|| self.connect()).await
    }

    /// A consumer with these settings. All share connections, and what is known of the cluster.
    pub(crate) async fn consumer(&self, config: ConsumerConfig) -> Result<Consumer, ClientError> {
        let cluster = self.consumers.get_or_try_init(|| self.connect()).await?;
        Ok(Consumer::new(cluster.clone(), config))
    }

    async fn connect(&self) -> Result<Arc<Cluster>, ClientError> {
        let config = ClientConfig::from_properties(&self.client_properties()).map_err(unusable)?;
        Cluster::connect(config).await
    }

    pub(crate) async fn admin(&self) -> Result<Admin, ClientError> {
        Ok(Admin::new(self.cluster().await?.clone()))
    }

    pub(crate) async fn producer(&self) -> Result<&Producer, ClientError> {
        self.producer
            .get_or_try_init(async || {
                let mut properties = self.client_properties();
                properties.set_default("linger.ms", "0");
                properties.set_default("batch.size", "131072");
                properties.set_default("max.request.size", BODY_BYTES_MAX.to_string());
                properties.set_default("max.block.ms", TOPIC_WAIT_MAX.as_millis().to_string());
                properties.set_default("buffer.memory", (2 * BODY_BYTES_MAX).to_string());
                let config = ProducerConfig::from_properties(&properties).map_err(unusable)?;
                Ok(Producer::new(self.cluster().await?.clone(), config))
            })
            .await
    }

    /// Lets one more read wait; it counts until what is returned is dropped.
    pub(crate) fn begin_read(&self) -> Result<tokio::sync::OwnedSemaphorePermit, RestError> {
        let permit = self.reads.clone().try_acquire_owned();
        permit.map_err(|_| RestError::too_many("Too many reads are in the works."))
    }

    /// Opens one more stream of records; it counts until what is returned is dropped.
    pub(crate) fn begin_stream(&self) -> Result<tokio::sync::OwnedSemaphorePermit, RestError> {
        let permit = self.streams.clone().try_acquire_owned();
        permit.map_err(|_| RestError::too_many("Too many streams of records are open."))
    }

    /// For every client of the cluster.
    pub(crate) fn client_properties(&self) -> Properties {
        let mut properties = self.config.client.clone();
        properties.set_default("client.id", "dohle-rest");
        // A request to the proxy should not hang for the minute that tools are given.
        properties.set_default("default.api.timeout.ms", "15000");
        properties
    }

    /// Closes all instances, and delivers what is on its way.
    pub(crate) async fn close(&self) {
        self.closing.cancel();
        self.instances.close_all().await;
        if let Some(producer) = self.producer.get() {
            producer.flush().await;
        }
    }
}

fn unusable(error: impl std::fmt::Display) -> ClientError {
    ClientError::Incomplete(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_that_wait_are_bounded() {
        let proxy = Proxy::new(RestConfig::from_properties(&Properties::default()).unwrap());
        let waiting: Vec<_> = (0..READS_IN_FLIGHT_MAX).map(|_| proxy.begin_read().unwrap()).collect();
        let refused = proxy.begin_read().unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (429, 429));
        drop(waiting);
        assert!(proxy.begin_read().is_ok());
    }

    #[test]
    fn streams_are_bounded() {
        let proxy = Proxy::new(RestConfig::from_properties(&Properties::default()).unwrap());
        let open: Vec<_> = (0..STREAMS_MAX).map(|_| proxy.begin_stream().unwrap()).collect();
        let refused = proxy.begin_stream().unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.code()), (429, 429));
        drop(open);
        assert!(proxy.begin_stream().is_ok());
    }
}
