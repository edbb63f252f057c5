//! The answer to a request that fails: an HTTP status, a number of the documented table, and a sentence.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use dohle_client::ClientError;
use dohle_client::consumer::ConsumeError;
use dohle_client::producer::ProduceError;
use dohle_protocol::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Clone)]
pub(crate) struct RestError {
    status: StatusCode,
    code: u32,
    message: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody<'a> {
    error_code: u32,
    message: &'a str,
}

impl RestError {
    fn new(status: StatusCode, code: u32, message: impl Into<String>) -> RestError {
        RestError {
            status,
            code,
            message: message.into(),
        }
    }

    /// Errors of HTTP itself have no number of their own.
    pub(crate) fn http(status: StatusCode) -> RestError {
        let reason = status.canonical_reason().unwrap_or_default();
        RestError::new(status, u32::from(status.as_u16()), format!("HTTP {} {reason}", status.as_u16()))
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::BAD_REQUEST, 400, message)
    }

    pub(crate) fn unprocessable(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::UNPROCESSABLE_ENTITY, 422, message)
    }

    pub(crate) fn too_many(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::TOO_MANY_REQUESTS, 429, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::PAYLOAD_TOO_LARGE, 413, message)
    }

    pub(crate) fn no_topic() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40401, "Topic not found.")
    }

    pub(crate) fn no_partition() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40402, "Partition not found.")
    }

    pub(crate) fn topic_not_hosted() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40403, "This server does not host this topic-partition.")
    }

    /// Something else that does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 404, message)
    }

    pub(crate) fn no_group() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40405, "Consumer group id not found.")
    }

    pub(crate) fn no_instance() -> RestError {
        RestError::new(StatusCode::NOT_FOUND, 40403, "Consumer instance not found.")
    }

    pub(crate) fn format_mismatch() -> RestError {
        RestError::new(
            StatusCode::NOT_ACCEPTABLE,
            40601,
            "The requested embedded data format does not match the deserializer for this consumer instance",
        )
    }

    /// A record cannot be shown in the format of the instance, or a schema registry would be needed.
    pub(crate) fn serialization(message: impl Into<String>) -> RestError {
        RestError::new(StatusCode::REQUEST_TIMEOUT, 40801, message)
    }

    pub(crate) fn instance_exists() -> RestError {
        RestError::new(
            StatusCode::CONFLICT,
            40902,
            "Consumer with specified consumer ID already exists in the specified consumer group.",
        )
    }

    pub(crate) fn illegal_state(reason: impl std::fmt::Display) -> RestError {
        RestError::new(StatusCode::CONFLICT, 40903, format!("Illegal state: {reason}"))
    }

    pub(crate) fn constraint(reason: impl std::fmt::Display) -> RestError {
        RestError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            40001,
            format!("Invalid consumer configuration. It does not abide by the constraints: {reason}"),
        )
    }

    pub(crate) fn invalid_consumer_config(reason: impl std::fmt::Display) -> RestError {
        RestError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            42204,
            format!("Invalid consumer configuration: {reason}"),
        )
    }

    pub(crate) fn key_schema_missing() -> RestError {
        RestError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            42201,
            "Request includes keys but does not include key schema",
        )
    }

    pub(crate) fn value_schema_missing() -> RestError {
        RestError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            42202,
            "Request includes values but does not include value schema",
        )
    }

    /// A key or value of version 3 that cannot be made from what is given.
    pub(crate) fn payload(reason: impl std::fmt::Display) -> RestError {
        RestError::new(StatusCode::UNPROCESSABLE_ENTITY, 42206, format!("Payload error. {reason}"))
    }

    pub(crate) fn batch(reason: impl Into<String>) -> RestError {
        RestError::new(StatusCode::UNPROCESSABLE_ENTITY, 42208, reason)
    }

    /// What Kafka would refuse, seen before it is asked.
    pub(crate) fn invalid_request(reason: impl Into<String>) -> RestError {
        RestError::new(StatusCode::BAD_REQUEST, 40002, reason)
    }

    pub(crate) fn out_of_range(reason: impl std::fmt::Display) -> RestError {
        RestError::new(StatusCode::BAD_REQUEST, 40002, reason.to_string())
    }

    pub(crate) fn kafka(reason: impl std::fmt::Display) -> RestError {
        RestError::new(StatusCode::INTERNAL_SERVER_ERROR, 50002, format!("Kafka error: {reason}"))
    }

    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// An error that may go away.
    pub(crate) fn retriable(reason: impl std::fmt::Display) -> RestError {
        RestError::new(StatusCode::INTERNAL_SERVER_ERROR, 50003, format!("Kafka error: {reason}"))
    }

    /// The proxy ends, in the midst of a stream.
    pub(crate) fn stopping() -> RestError {
        RestError::new(StatusCode::SERVICE_UNAVAILABLE, 503, "The proxy is stopping.")
    }

    pub(crate) fn code(&self) -> u32 {
        self.code
    }

    /// A record of version 2 is told from others only by what its sender may do about it.
    pub(crate) fn code_of_record(&self) -> u32 {
        match self.code {
            40101 | 40301 => self.code,
            40403 | 40404 | 42901 | 50003 | 50302 => 50003,
            _ => 50002,
        }
    }

    pub(crate) fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            error_code: self.code,
            message: &self.message,
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    fn of_kafka(code: ErrorCode, message: &str) -> RestError {
        use ErrorCode as E;
        let (status, number) = match code {
            E::SaslAuthenticationFailed => (401, 40101),
            E::TopicAuthorizationFailed
            | E::GroupAuthorizationFailed
            | E::ClusterAuthorizationFailed
            | E::TransactionalIdAuthorizationFailed => (403, 40301),
            E::UnknownTopicOrPartition | E::UnknownTopicId => return RestError::topic_not_hosted(),
            E::LeaderNotAvailable => (404, 40404),
            E::GroupIdNotFound => (404, 40405),
            E::TopicAlreadyExists
            | E::InvalidPartitions
            | E::InvalidReplicationFactor
            | E::InvalidReplicaAssignment
            | E::InvalidConfig
            | E::InvalidRequest
            | E::InvalidTopicException
            | E::PolicyViolation
            | E::UnsupportedVersion
            | E::SecurityDisabled => (400, 40002),
            E::MessageTooLarge | E::RecordListTooLarge => (413, 413),
            E::ThrottlingQuotaExceeded => (429, 42901),
            E::BrokerNotAvailable => (503, 50302),
            _ if code.is_retriable() => (500, 50003),
            _ => return RestError::kafka(message),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        RestError::new(status, number, message)
    }
}

impl From<ClientError> for RestError {
    fn from(error: ClientError) -> RestError {
        match &error {
            ClientError::Refused { code, message } => RestError::of_kafka(*code, message),
            ClientError::Unreachable { .. } => RestError::new(StatusCode::SERVICE_UNAVAILABLE, 50302, error.to_string()),
            ClientError::Disconnected { .. } | ClientError::TimedOut { .. } => {
                RestError::new(StatusCode::INTERNAL_SERVER_ERROR, 50003, error.to_string())
            }
            _ => RestError::kafka(&error),
        }
    }
}

impl From<ConsumeError> for RestError {
    fn from(error: ConsumeError) -> RestError {
        match error {
            ConsumeError::Client(error) | ConsumeError::Partition { reason: error, .. } => RestError::from(error),
            ConsumeError::NotAssigned { partition } => RestError::illegal_state(format!("No current assignment for partition {partition}")),
            other => RestError::kafka(other),
        }
    }
}

/// Why a record is not written.
impl From<ProduceError> for RestError {
    fn from(error: ProduceError) -> RestError {
        match error {
            ProduceError::Refused { code, message } => RestError::of_kafka(code, &message),
            // It waited for the topic.
            ProduceError::Client(ClientError::Incomplete(_)) => RestError::no_topic(),
            ProduceError::Client(error) => error.into(),
            ProduceError::TooLarge { .. } => RestError::too_large(error.to_string()),
            ProduceError::NoSuchPartition { .. } => RestError::no_partition(),
            ProduceError::Expired { .. } | ProduceError::BufferFull { .. } => RestError::retriable(error),
            ProduceError::Closed => RestError::kafka(error),
        }
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let bytes = serde_json::to_vec(&self.body()).expect("a number and a text");
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = self.status;
        if self.status == StatusCode::REQUEST_TIMEOUT && self.code == 408 {
            // The rest of the body may still come: nothing else can be read on this connection.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
