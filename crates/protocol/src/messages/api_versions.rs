//! ApiVersions (key 18): the versions that a broker serves; the first request of every connection.

use crate::wire::TaggedFields;
use crate::{ApiKey, Message, Request};

/// Asks for versions, and introduces the client (KIP-511).
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ApiVersionsRequest {
    #[field(versions = "3+", ignorable)]
    pub client_software_name: String,
    #[field(versions = "3+", ignorable)]
    pub client_software_version: String,
    /// Cluster that the client believes to talk to (KIP-1242).
    #[field(versions = "5+", ignorable)]
    pub cluster_id: Option<String>,
    /// Node that the client believes to talk to; -1 if it does not care.
    #[field(versions = "5+", default = -1, ignorable)]
    pub node_id: i32,
    pub unknown_tagged_fields: TaggedFields,
}

impl Request for ApiVersionsRequest {
    const KEY: ApiKey = ApiKey::ApiVersions;
    type Response = ApiVersionsResponse;
}

/// The versions of each API. The header of this response is always version 0, so that any client can read it.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0-5", flexible = "3+")]
pub struct ApiVersionsResponse {
    pub error_code: i16,
    pub api_keys: Vec<ApiVersion>,
    #[field(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    #[field(versions = "3+", tag = 0, ignorable)]
    pub supported_features: Vec<SupportedFeatureKey>,
    /// -1: the finalized features are unknown.
    #[field(versions = "3+", default = -1, tag = 1, ignorable)]
    pub finalized_features_epoch: i64,
    #[field(versions = "3+", tag = 2, ignorable)]
    pub finalized_features: Vec<FinalizedFeatureKey>,
    #[field(versions = "3+", tag = 3, ignorable)]
    pub zk_migration_ready: bool,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "3+")]
pub struct ApiVersion {
    pub api_key: i16,
    pub min_version: i16,
    pub max_version: i16,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "3+")]
pub struct SupportedFeatureKey {
    pub name: String,
    pub min_version: i16,
    pub max_version: i16,
    pub unknown_tagged_fields: TaggedFields,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[message(flexible = "3+")]
pub struct FinalizedFeatureKey {
    pub name: String,
    pub max_version_level: i16,
    pub min_version_level: i16,
    pub unknown_tagged_fields: TaggedFields,
}

impl ApiVersionsRequest {
    /// Name and version of the client software begin and end with a letter or digit, with dots and dashes at most between (KIP-511).
    pub fn has_valid_client(&self, version: i16) -> bool {
        version < 3 || (is_software_name(&self.client_software_name) && is_software_name(&self.client_software_version))
    }
}

impl ApiVersionsResponse {
    /// Leaves out what older clients cannot read: before version 4 a feature cannot start at level 0 (KAFKA-17011).
    pub fn fit_features(&mut self, version: i16) {
        self.supported_features.retain(|feature| version >= 4 || feature.min_version > 0);
    }
}

fn is_software_name(name: &str) -> bool {
    let name = name.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(name.first()) && edge(name.last()) && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}
