//! The first exchange on a connection: which versions does the server speak?
//!
//! We ask in our newest version. A server that does not know it answers in version 0 with error 35 and, if it is not
//! ancient, with the range it accepts; then we ask again within that range.

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use dohle_protocol::{ApiKey, frame};
use tokio::net::TcpStream;

use super::{encode_request, framing};
use crate::config::ClientConfig;
use crate::error::ClientError;
use crate::server_versions::ServerVersions;

pub(super) async fn negotiate(stream: &mut TcpStream, address: &str, config: &ClientConfig) -> Result<ServerVersions, ClientError> {
    let newest = *ApiKey::ApiVersions.valid_versions().end();
    let mut answer = ask(stream, address, config, newest).await?;
    if answer.error_code == ErrorCode::UnsupportedVersion.code() {
        let offered = ServerVersions::new(&answer).newest_common(ApiKey::ApiVersions).unwrap_or(0);
        answer = ask(stream, address, config, offered.min(newest - 1)).await?;
    }
    ClientError::check(answer.error_code, None)?;
    Ok(ServerVersions::new(&answer))
}

async fn ask(stream: &mut TcpStream, address: &str, config: &ClientConfig, version: i16) -> Result<ApiVersionsResponse, ClientError> {
    let request = ApiVersionsRequest {
        client_software_name: "dohle".to_owned(),
        client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Default::default()
    };
    let request = encode_request(&request, version, 0, &config.client_id)?;
    let exchange = async {
        framing::write(stream, &request).await?;
        framing::read(stream).await
    };
    let lost = |reason: std::io::Error| ClientError::Disconnected {
        address: address.to_owned(),
        reason: reason.to_string(),
    };
    let answer = match tokio::time::timeout(config.request_timeout, exchange).await {
        Ok(exchanged) => exchanged.map_err(lost)?,
        Err(_) => {
            let timeout_ms = config.request_timeout.as_millis();
            return Err(ClientError::TimedOut {
                address: address.to_owned(),
                api: ApiKey::ApiVersions.name(),
                timeout_ms,
            });
        }
    };
    // Error 35 comes with a body of version 0, whatever was asked.
    let refused = answer.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes()[..]);
    let read = frame::read_response::<ApiVersionsRequest>(answer, if refused { 0 } else { version });
    read.map(|(_, response)| response).map_err(|error| ClientError::Malformed {
        address: address.to_owned(),
        api: ApiKey::ApiVersions.name(),
        reason: error.to_string(),
    })
}
