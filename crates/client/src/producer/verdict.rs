//! What a server's answer means for a batch.

use dohle_protocol::error_code::ErrorCode;
use dohle_protocol::messages::produce::PartitionProduceResponse;

use super::ProduceError;
use super::delivery::Ack;

#[derive(Debug)]
pub(super) enum Verdict {
    Delivered(Ack),
    /// The same bytes may succeed later, perhaps at another node.
    Retry(String),
    /// The server does not know, or does not like, the numbering: start it anew.
    RetryNumberedAnew(String),
    /// Two smaller batches may succeed.
    Split,
    GiveUp(ProduceError),
}

pub(super) fn judge(answer: &PartitionProduceResponse, idempotent: bool, others_in_flight: bool) -> Verdict {
    let code = ErrorCode::from_code(answer.error_code);
    let message = || answer.error_message.clone().unwrap_or_else(|| code.message().to_owned());
    match code {
        // A duplicate whose first copy is no longer remembered was delivered all the same, where is not known.
        ErrorCode::None | ErrorCode::DuplicateSequenceNumber => Verdict::Delivered(Ack {
            base_offset: answer.base_offset,
            log_append_time_ms: answer.log_append_time_ms,
        }),
        ErrorCode::MessageTooLarge => Verdict::Split,
        // Out of order because one before it failed and will be sent again; alone, because the server forgot what came before.
        ErrorCode::OutOfOrderSequenceNumber if idempotent && others_in_flight => Verdict::Retry(message()),
        ErrorCode::OutOfOrderSequenceNumber | ErrorCode::UnknownProducerId | ErrorCode::InvalidProducerEpoch if idempotent => {
            Verdict::RetryNumberedAnew(message())
        }
        _ if code.is_retriable() => Verdict::Retry(message()),
        _ => {
            let of_record = answer
                .record_errors
                .iter()
                .find_map(|error| error.batch_index_error_message.clone());
            Verdict::GiveUp(ProduceError::Refused {
                code,
                message: of_record.unwrap_or_else(message),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: ErrorCode, idempotent: bool, others_in_flight: bool) -> &'static str {
        let answer = PartitionProduceResponse {
            error_code: code.code(),
            ..Default::default()
        };
        match judge(&answer, idempotent, others_in_flight) {
            Verdict::Delivered(_) => "delivered",
            Verdict::Retry(_) => "retry",
            Verdict::RetryNumberedAnew(_) => "renumber",
            Verdict::Split => "split",
            Verdict::GiveUp(_) => "give up",
        }
    }

    #[test]
    fn every_kind_of_answer_has_its_consequence() {
        for (code, idempotent, others_in_flight, expected) in [
            (ErrorCode::None, true, false, "delivered"),
            (ErrorCode::DuplicateSequenceNumber, true, false, "delivered"),
            (ErrorCode::NotLeaderOrFollower, true, false, "retry"),
            (ErrorCode::UnknownTopicOrPartition, true, false, "retry"),
            (ErrorCode::NotEnoughReplicas, false, false, "retry"),
            (ErrorCode::KafkaStorageError, false, false, "retry"),
            (ErrorCode::OutOfOrderSequenceNumber, true, true, "retry"),
            (ErrorCode::OutOfOrderSequenceNumber, true, false, "renumber"),
            (ErrorCode::UnknownProducerId, true, true, "renumber"),
            (ErrorCode::MessageTooLarge, true, false, "split"),
            (ErrorCode::InvalidRecord, true, false, "give up"),
            (ErrorCode::TopicAuthorizationFailed, true, false, "give up"),
            (ErrorCode::OutOfOrderSequenceNumber, false, false, "give up"),
        ] {
            assert_eq!(verdict(code, idempotent, others_in_flight), expected, "{code:?}");
        }
    }
}
