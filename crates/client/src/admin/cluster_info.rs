//! The cluster itself: its id, its brokers, the versions they speak.

use std::collections::BTreeMap;

use dohle_protocol::ApiKey;
use dohle_protocol::messages::describe_cluster::DescribeClusterRequest;
use dohle_protocol::messages::unregister_broker::UnregisterBrokerRequest;

use super::Admin;
use crate::cluster::{CONTROLLERS, Topics};
use crate::cluster_metadata::Broker;
use crate::error::ClientError;
use crate::server_versions::ServerVersions;

#[derive(Debug, Clone)]
pub struct ClusterDescription {
    pub cluster_id: Option<String>,
    pub controller_id: i32,
    pub brokers: Vec<DescribedBroker>,
}

#[derive(Debug, Clone)]
pub struct DescribedBroker {
    pub broker: Broker,
    pub is_fenced: bool,
}

impl Admin {
    pub async fn describe_cluster(&self, with_fenced: bool) -> Result<ClusterDescription, ClientError> {
        let version = match self.cluster.any().await?.version_of(ApiKey::DescribeCluster) {
            Ok(version) => version,
            Err(_) => return self.describe_cluster_by_metadata().await,
        };
        // Only version 2 can be asked for fenced brokers, and fails to encode the wish before.
        let mut request = DescribeClusterRequest {
            include_fenced_brokers: with_fenced && version >= 2,
            ..Default::default()
        };
        if self.cluster.config().to_controllers {
            request.endpoint_type = CONTROLLERS;
        }
        let response = self.cluster.call_any(&request).await?;
        ClientError::check(response.error_code, response.error_message)?;
        let brokers = response.brokers.into_iter().map(|b| DescribedBroker {
            broker: Broker {
                id: b.broker_id,
                host: b.host,
                port: b.port,
                rack: b.rack,
            },
            is_fenced: b.is_fenced,
        });
        Ok(ClusterDescription {
            cluster_id: Some(response.cluster_id),
            controller_id: response.controller_id,
            brokers: brokers.collect(),
        })
    }

    async fn describe_cluster_by_metadata(&self) -> Result<ClusterDescription, ClientError> {
        let metadata = self.cluster.refresh_patiently(Topics::None).await?;
        let brokers = metadata.brokers.values().map(|broker| DescribedBroker {
            broker: broker.clone(),
            is_fenced: false,
        });
        Ok(ClusterDescription {
            cluster_id: metadata.cluster_id.clone(),
            controller_id: metadata.controller_id,
            brokers: brokers.collect(),
        })
    }

    /// The broker will not come back; its replicas count no more.
    pub async fn unregister_broker(&self, broker_id: i32) -> Result<(), ClientError> {
        let request = UnregisterBrokerRequest {
            broker_id,
            ..Default::default()
        };
        let asked = self.ask_controller(&request, |response| (response.error_code, response.error_message.clone()));
        asked.await.map(drop)
    }

    /// Of every broker, what it speaks or why it could not be asked.
    pub async fn broker_versions(&self) -> Result<BTreeMap<i32, (Broker, Result<ServerVersions, ClientError>)>, ClientError> {
        let metadata = self.cluster.refresh_patiently(Topics::None).await?;
        let mut versions = BTreeMap::new();
        for (&id, broker) in &metadata.brokers {
            let asked = self.cluster.node(id).await.map(|connection| connection.versions().clone());
            versions.insert(id, (broker.clone(), asked));
        }
        Ok(versions)
    }
}
