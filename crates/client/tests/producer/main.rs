//! The producer against a scripted server that counts sequence numbers as a broker does: whatever fails, records arrive once and in order.

mod server;

use std::time::Duration;

use bytes::Bytes;
use dohle_client::producer::ProduceError;
use dohle_client::{Producer, ProducerConfig, ProducerRecord, Properties};
use dohle_protocol::ErrorCode;
use server::{Answer, Server};

const RECORDS: usize = 40;

async fn producer(server: &Server, settings: &[&str]) -> Producer {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", server.address());
    // Each record is a batch of its own.
    for setting in ["batch.size=1", "linger.ms=0", "retry.backoff.ms=1", "retry.backoff.max.ms=5"]
        .iter()
        .chain(settings)
    {
        properties.add_pair(setting).unwrap();
    }
    Producer::connect(ProducerConfig::from_properties(&properties).unwrap())
        .await
        .unwrap()
}

fn record(number: usize) -> ProducerRecord {
    ProducerRecord::new("t", None, Some(Bytes::from(number.to_string())))
}

/// Sends all records, and returns what became of each.
async fn send_all(producer: &Producer) -> Vec<Result<i64, ProduceError>> {
    let mut deliveries = Vec::new();
    for number in 0..RECORDS {
        deliveries.push(producer.send(record(number)).await.unwrap());
    }
    let mut outcomes = Vec::new();
    for delivery in deliveries {
        outcomes.push(delivery.wait().await.map(|metadata| metadata.offset));
    }
    outcomes
}

fn all_numbers() -> Vec<String> {
    (0..RECORDS).map(|number| number.to_string()).collect()
}

async fn arrives_once_and_in_order(script: &[(usize, Answer)]) -> Server {
    let server = Server::start(script.to_vec()).await;
    let producer = producer(&server, &[]).await;
    let offsets: Vec<i64> = send_all(&producer).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(server.log(), all_numbers(), "{script:?}");
    assert_eq!(offsets, (0..RECORDS as i64).collect::<Vec<_>>(), "{script:?}");
    producer.close().await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_19_what_fails_for_a_while_is_sent_again_in_order() {
    for error in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::NotEnoughReplicas,
        ErrorCode::UnknownTopicOrPartition,
        ErrorCode::RequestTimedOut,
    ] {
        arrives_once_and_in_order(&[(0, Answer::Refuse(error)), (7, Answer::Refuse(error)), (8, Answer::Refuse(error))]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_19_an_answer_that_is_lost_makes_no_duplicate() {
    arrives_once_and_in_order(&[(3, Answer::AppendAndHangUp), (9, Answer::AppendAndHangUp), (20, Answer::HangUp)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_named_in_the_refusal_is_asked_at_once() {
    let server = Server::start(vec![(0, Answer::Redirect)]).await;
    let producer = producer(&server, &["retry.backoff.ms=60000", "retry.backoff.max.ms=60000"]).await;
    let delivery = producer.send(record(0)).await.unwrap();
    let delivered = tokio::time::timeout(Duration::from_secs(10), delivery.wait()).await;
    delivered.expect("it does not wait to try again").unwrap();
    assert_eq!(server.log(), ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_21_a_server_that_forgot_the_producer_gets_a_new_epoch() {
    let server = arrives_once_and_in_order(&[(5, Answer::Refuse(ErrorCode::UnknownProducerId))]).await;
    assert_eq!(server.last_epoch(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_refused_for_good_does_not_hold_up_the_rest() {
    let server = Server::start(vec![(4, Answer::Refuse(ErrorCode::InvalidRecord))]).await;
    let producer = producer(&server, &[]).await;
    let outcomes = send_all(&producer).await;
    let failed: Vec<usize> = (0..RECORDS).filter(|&number| outcomes[number].is_err()).collect();
    assert_eq!(failed.len(), 1);
    assert!(matches!(
        outcomes[failed[0]],
        Err(ProduceError::Refused {
            code: ErrorCode::InvalidRecord,
            ..
        })
    ));
    let mut expected = all_numbers();
    expected.remove(failed[0]);
    assert_eq!(server.log(), expected);
    assert_eq!(server.last_epoch(), 1, "the gap is closed by a new epoch");
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_is_given_up_after_its_time() {
    let refuse_all: Vec<(usize, Answer)> = (0..100_000)
        .map(|index| (index, Answer::Refuse(ErrorCode::NotEnoughReplicas)))
        .collect();
    let server = Server::start(refuse_all).await;
    let producer = producer(&server, &["delivery.timeout.ms=300", "request.timeout.ms=100"]).await;
    let delivery = producer.send(record(0)).await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(10), delivery.wait())
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, ProduceError::Expired { .. }), "{error}");
    assert!(server.log().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_retries_is_limited() {
    let server = Server::start((0..3).map(|index| (index, Answer::Refuse(ErrorCode::NotEnoughReplicas))).collect()).await;
    let producer = producer(&server, &["retries=2"]).await;
    let delivery = producer.send(record(0)).await.unwrap();
    assert!(delivery.wait().await.is_err());
    let delivery = producer.send(record(1)).await.unwrap();
    delivery.wait().await.unwrap();
    assert_eq!(server.log(), ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_acknowledgements_nothing_is_waited_for() {
    let server = Server::start(Vec::new()).await;
    let producer = producer(&server, &["acks=0"]).await;
    let offsets: Vec<i64> = send_all(&producer).await.into_iter().map(Result::unwrap).collect();
    assert!(offsets.iter().all(|&offset| offset == -1));
    server.wait_for(RECORDS).await;
    assert_eq!(server.log(), all_numbers());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_beyond_the_buffer_wait_for_room() {
    let server = Server::start(Vec::new()).await;
    let producer = producer(&server, &["buffer.memory=200", "max.block.ms=5000"]).await;
    let offsets = send_all(&producer).await;
    assert!(offsets.iter().all(Result::is_ok));
    assert_eq!(server.log(), all_numbers());
}
