//! What configurations of topics, brokers and the cluster have in common: one entry as it is shown, and changes.

use axum::response::Response;
use dohle_client::admin::configs::{ConfigChange, ConfigEntry, Resource as Configured};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parse;
use super::scope::Scope;
use crate::answer::no_content;
use crate::body::RequestBody;
use crate::error::RestError;

#[derive(Serialize, ToSchema)]
pub(super) struct ConfigData {
    name: String,
    /// Null: not set, or not told because it is sensitive.
    value: Option<String>,
    is_default: bool,
    is_read_only: bool,
    is_sensitive: bool,
    source: &'static str,
    /// The places that the value may come from, the deciding one first.
    synonyms: Vec<ConfigSynonymData>,
}

#[derive(Serialize, ToSchema)]
struct ConfigSynonymData {
    name: String,
    value: Option<String>,
    source: &'static str,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateConfigRequest {
    value: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AlterConfigsRequest {
    data: Vec<AlterConfig>,
    #[serde(default)]
    validate_only: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AlterConfig {
    name: String,
    value: Option<String>,
    #[serde(default)]
    operation: AlterOperation,
}

#[derive(Default, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum AlterOperation {
    #[default]
    Set,
    Delete,
}

impl ConfigData {
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl From<ConfigEntry> for ConfigData {
    fn from(entry: ConfigEntry) -> ConfigData {
        let synonyms = entry.synonyms.iter().map(|synonym| ConfigSynonymData {
            name: synonym.name.clone(),
            value: synonym.value.clone(),
            source: synonym.source.name(),
        });
        ConfigData {
            is_default: entry.is_default(),
            is_read_only: entry.is_read_only,
            is_sensitive: entry.is_sensitive,
            source: entry.source.name(),
            synonyms: synonyms.collect(),
            name: entry.name,
            value: entry.value,
        }
    }
}

/// All entries of one resource.
pub(super) async fn entries(scope: &Scope, of: &Configured) -> Result<Vec<ConfigEntry>, RestError> {
    let described = scope.admin.describe_configs(std::slice::from_ref(of), true).await?;
    Ok(described.into_iter().flatten().collect())
}

/// One of them.
pub(super) async fn entry(scope: &Scope, of: &Configured, name: &str) -> Result<ConfigEntry, RestError> {
    let found = entries(scope, of).await?.into_iter().find(|entry| entry.name == name);
    found.ok_or_else(|| RestError::not_found(format!("Config {name} cannot be found.")))
}

pub(super) async fn put(scope: &Scope, of: &Configured, name: String, body: &RequestBody) -> Result<Response, RestError> {
    let request: UpdateConfigRequest = parse(body)?;
    scope.admin.alter_configs(of, &[ConfigChange::Set(name, request.value)]).await?;
    Ok(no_content())
}

pub(super) async fn reset(scope: &Scope, of: &Configured, name: String) -> Result<Response, RestError> {
    scope.admin.alter_configs(of, &[ConfigChange::Delete(name)]).await?;
    Ok(no_content())
}

/// All changes or none.
pub(super) async fn alter(scope: &Scope, of: &Configured, body: &RequestBody) -> Result<Response, RestError> {
    let request: AlterConfigsRequest = parse(body)?;
    let changes = request.data.into_iter().map(|change| match (change.operation, change.value) {
        (AlterOperation::Delete, _) => Ok(ConfigChange::Delete(change.name)),
        (AlterOperation::Set, Some(value)) => Ok(ConfigChange::Set(change.name, value)),
        (AlterOperation::Set, None) => Err(RestError::unprocessable(format!("value of {} may not be null", change.name))),
    });
    let changes: Vec<ConfigChange> = changes.collect::<Result<_, _>>()?;
    match request.validate_only {
        true => scope.admin.validate_configs(of, &changes).await?,
        false => scope.admin.alter_configs(of, &changes).await?,
    }
    Ok(no_content())
}
