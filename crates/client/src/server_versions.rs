//! Which versions of each request a server speaks, as its ApiVersions answer says.

use std::collections::BTreeMap;

use dohle_protocol::ApiKey;
use dohle_protocol::messages::api_versions::ApiVersionsResponse;

/// The ranges of one server, by the number of the API; a server may speak APIs that we have no name for.
#[derive(Debug, Clone, Default)]
pub struct ServerVersions {
    ranges: BTreeMap<i16, (i16, i16)>,
    /// Finalized feature levels, by name.
    pub features: BTreeMap<String, i16>,
}

impl ServerVersions {
    pub fn new(response: &ApiVersionsResponse) -> ServerVersions {
        ServerVersions {
            ranges: response
                .api_keys
                .iter()
                .map(|range| (range.api_key, (range.min_version, range.max_version)))
                .collect(),
            features: response
                .finalized_features
                .iter()
                .map(|level| (level.name.clone(), level.max_version_level))
                .collect(),
        }
    }

    /// The newest version that both sides speak.
    pub fn newest_common(&self, api: ApiKey) -> Option<i16> {
        let (server_min, server_max) = *self.ranges.get(&api.code())?;
        let ours = api.valid_versions();
        let newest = server_max.min(*ours.end());
        (newest >= server_min.max(*ours.start())).then_some(newest)
    }

    /// Every range the server listed, in order of the API's number.
    pub fn ranges(&self) -> impl Iterator<Item = (i16, i16, i16)> + '_ {
        self.ranges.iter().map(|(&api, &(min, max))| (api, min, max))
    }
}

#[cfg(test)]
mod tests {
    use dohle_protocol::messages::api_versions::ApiVersion;

    use super::*;

    fn server(api: ApiKey, min_version: i16, max_version: i16) -> ServerVersions {
        let range = ApiVersion {
            api_key: api.code(),
            min_version,
            max_version,
            ..Default::default()
        };
        ServerVersions::new(&ApiVersionsResponse {
            api_keys: vec![range],
            ..Default::default()
        })
    }

    #[test]
    fn the_newest_common_version_is_chosen() {
        let ours = ApiKey::Metadata.valid_versions();
        assert_eq!(server(ApiKey::Metadata, 0, 5).newest_common(ApiKey::Metadata), Some(5));
        assert_eq!(server(ApiKey::Metadata, 0, 99).newest_common(ApiKey::Metadata), Some(*ours.end()));
        assert_eq!(server(ApiKey::Metadata, 98, 99).newest_common(ApiKey::Metadata), None);
        assert_eq!(server(ApiKey::Metadata, 0, 5).newest_common(ApiKey::Produce), None);
    }
}
