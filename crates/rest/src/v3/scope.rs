//! The cluster that a request names, which must be the proxy's own.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use dohle_client::Admin;
use dohle_client::admin::cluster_info::DescribedBroker;
use dohle_client::admin::topics::{PartitionDescription, TopicDescription};

use super::resource::Place;
use crate::answer::check_topic;
use crate::error::RestError;
use crate::limits::PARTITIONS_PER_PAGE;
use crate::proxy::Proxy;

pub(super) struct Scope {
    pub(super) proxy: Arc<Proxy>,
    pub(super) admin: Admin,
    pub(super) cluster_id: String,
    pub(super) place: Place,
}

impl Scope {
    /// The cluster, whatever a request calls it.
    pub(super) async fn own(proxy: &Arc<Proxy>) -> Result<Scope, RestError> {
        let admin = proxy.admin().await?;
        let cluster_id = admin.cluster().metadata().cluster_id.clone().unwrap_or_default();
        Ok(Scope {
            proxy: proxy.clone(),
            place: Place::cluster(&proxy.config.advertised, &cluster_id),
            admin,
            cluster_id,
        })
    }

    pub(super) async fn brokers(&self) -> Result<Vec<DescribedBroker>, RestError> {
        Ok(self.admin.describe_cluster(false).await?.brokers)
    }

    pub(super) async fn broker(&self, id: i32) -> Result<DescribedBroker, RestError> {
        let mut brokers = self.brokers().await?.into_iter();
        let found = brokers.find(|described| described.broker.id == id);
        found.ok_or_else(|| RestError::not_found(format!("Broker {id} cannot be found.")))
    }

    pub(super) async fn topic(&self, name: &str) -> Result<TopicDescription, RestError> {
        check_topic(name)?;
        let described = self.topics(&[name.to_owned()]).await?;
        described.into_iter().next().ok_or_else(RestError::topic_not_hosted)
    }

    pub(super) async fn topics(&self, names: &[String]) -> Result<Vec<TopicDescription>, RestError> {
        Ok(self.admin.describe_topics(names, PARTITIONS_PER_PAGE).await?)
    }

    pub(super) async fn partition(&self, topic: &str, index: i32) -> Result<PartitionDescription, RestError> {
        let mut partitions = self.topic(topic).await?.partitions.into_iter();
        let found = partitions.find(|partition| partition.index == index);
        found.ok_or_else(RestError::no_partition)
    }
}

impl FromRequestParts<Arc<Proxy>> for Scope {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, proxy: &Arc<Proxy>) -> Result<Scope, RestError> {
        let scope = Scope::own(proxy).await?;
        let segments = RawPathParams::from_request_parts(parts, proxy).await;
        let segments = segments.map_err(|error| RestError::bad_request(error.to_string()))?;
        match segments.iter().find(|(name, _)| *name == "cluster") {
            Some((_, id)) if id != scope.cluster_id => Err(RestError::not_found(format!("Cluster {id} cannot be found."))),
            _ => Ok(scope),
        }
    }
}
