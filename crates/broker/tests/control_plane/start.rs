//! Starting and stopping: what survives, and what is refused with which words.

use std::path::Path;

use dohle_protocol::messages::metadata::MetadataRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::node::{self, Client};

async fn refused(dir: &Path, settings: &[(&str, &str)]) -> String {
    match node::try_start(dir, settings).await {
        Ok(_) => panic!("the node started"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn topics_and_cluster_survive_an_orderly_restart_and_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    let id = client.create("t", 2).await.topic_id;
    let cluster_id = client.ask(&MetadataRequest::default()).await.cluster_id;
    broker.shutdown().await;
    assert!(dir.path().join(".kafka_cleanshutdown").exists());

    let broker = node::start(dir.path(), &[]).await;
    assert!(!dir.path().join(".kafka_cleanshutdown").exists(), "the marker holds for one start");
    let mut client = Client::connect(&broker).await;
    let response = client
        .ask(&MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        })
        .await;
    assert_eq!(response.cluster_id, cluster_id);
    assert_eq!((response.topics.len(), response.topics[0].topic_id), (1, id));
    assert!(
        response.topics[0]
            .partitions
            .iter()
            .all(|partition| partition.leader_id == 1 && partition.error_code == 0)
    );
    broker.shutdown().await;
}

#[tokio::test]
async fn g2_d7_a_directory_of_another_node_or_cluster_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    node::start(dir.path(), &[]).await.shutdown().await;
    let error = refused(dir.path(), &[("node.id", "2")]).await;
    assert!(error.contains("belongs to node 1"), "{error}");

    let meta = dir.path().join("meta.properties");
    let text = std::fs::read_to_string(&meta).unwrap();
    let id = text.lines().find_map(|line| line.strip_prefix("cluster.id=")).unwrap();
    std::fs::write(&meta, text.replace(id, "AAAAAAAAAAAAAAAAAAAAAA")).unwrap();
    let error = refused(dir.path(), &[]).await;
    assert!(
        error.contains("cluster") && error.contains(id) && error.contains("AAAAAAAAAAAAAAAAAAAAAA"),
        "{error}"
    );

    std::fs::write(&meta, text.replace("version=1", "version=99")).unwrap();
    let error = refused(dir.path(), &[]).await;
    assert!(error.contains("version 99"), "{error}");
    std::fs::write(&meta, &text).unwrap();
    node::start(dir.path(), &[]).await.shutdown().await;
}

#[tokio::test]
async fn d6_a_damaged_vote_is_refused_and_nothing_starts_anew() {
    let dir = tempfile::tempdir().unwrap();
    node::start(dir.path(), &[]).await.shutdown().await;
    let vote = dir.path().join("__cluster_metadata-0/quorum-state");
    let good = std::fs::read(&vote).unwrap();
    std::fs::write(&vote, &good[..good.len() / 2]).unwrap();
    let error = refused(dir.path(), &[]).await;
    assert!(error.contains("quorum-state") && error.contains("Restore"), "{error}");
    assert_eq!(std::fs::read(&vote).unwrap().len(), good.len() / 2);
    std::fs::write(&vote, &good).unwrap();
    node::start(dir.path(), &[]).await.shutdown().await;
}

#[tokio::test]
async fn g3_a_directory_that_cannot_be_one_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let error = refused(&file, &[]).await;
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    let below = file.join("data");
    assert!(refused(&below, &[]).await.contains(below.to_str().unwrap()));
}

#[tokio::test]
async fn g3_a_node_starts_with_one_of_two_directories_and_says_which_partitions_are_offline() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    let both = format!("{},{}", good.display(), bad.display());
    let broker = node::start(dir.path(), &[("log.dirs", &both)]).await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(client.create("t", 4).await.error_code, 0);
    assert!((0..4).any(|index| bad.join(format!("t-{index}")).exists()), "partitions are spread");
    broker.shutdown().await;

    std::fs::rename(&bad, dir.path().join("away")).unwrap();
    std::fs::write(&bad, "not a directory").unwrap();
    let broker = node::start(dir.path(), &[("log.dirs", &both), ("metrics.listener", "127.0.0.1:0")]).await;
    let mut client = Client::connect(&broker).await;
    assert_eq!(client.create("new", 1).await.error_code, 0);
    for index in 0..4 {
        let expected = if good.join(format!("t-{index}")).exists() { 0 } else { 56 };
        assert_eq!(produce(&mut client, "t", index).await, expected, "partition {index}");
    }
    broker.shutdown().await;
}

async fn produce(client: &mut Client, topic: &str, index: i32) -> i16 {
    use dohle_protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
    let mut records = dohle_protocol::builder::RecordBatchBuilder::new();
    records.append(1, None, Some(b"x"), &[]);
    let partition = PartitionProduceData {
        index,
        records: Some(records.build()),
        ..PartitionProduceData::default()
    };
    let data = TopicProduceData {
        name: topic.to_string(),
        partition_data: vec![partition],
        ..TopicProduceData::default()
    };
    let request = ProduceRequest {
        acks: -1,
        timeout_ms: 5000,
        topic_data: vec![data],
        ..ProduceRequest::default()
    };
    client.call(9, &request).await.responses[0].partition_responses[0].error_code
}

#[tokio::test]
async fn g4_a_port_in_use_is_named_before_anything_is_touched() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let error = refused(&data, &[("listeners", &format!("PLAINTEXT://{address}"))]).await;
    assert!(error.contains(&address.to_string()) && error.contains("PLAINTEXT"), "{error}");
    let error = refused(&data, &[("metrics.listener", &address.to_string())]).await;
    assert!(
        error.contains(&address.to_string()) && error.contains("metrics.listener"),
        "{error}"
    );
    assert!(!data.exists());
}

#[tokio::test]
async fn g6_a_directory_is_used_by_one_node_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let error = refused(dir.path(), &[]).await;
    assert!(
        error.contains("in use by another process") && error.contains(dir.path().to_str().unwrap()),
        "{error}"
    );
    broker.shutdown().await;
    node::start(dir.path(), &[]).await.shutdown().await;
}

#[tokio::test]
async fn metrics_and_health_are_served_where_configured() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[("metrics.listener", &address.to_string())]).await;
    let mut client = Client::connect(&broker).await;
    client.create("t", 2).await;
    let health = get(address, "/health").await;
    assert!(
        health.starts_with("HTTP/1.1 200") && health.contains(r#"{"status":"ok","node_id":1,"offline_log_dirs":0}"#),
        "{health}"
    );
    let metrics = get(address, "/metrics").await;
    for line in [
        "dohle_partitions 2",
        "dohle_connections 1",
        "dohle_requests_total{api=\"CreateTopics\"} 1",
        "dohle_flush_policy{topic=\"t\",policy=\"commit\"} 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is missing in\n{metrics}");
    }
    assert!(get(address, "/elsewhere").await.starts_with("HTTP/1.1 404"));
    broker.shutdown().await;
}

async fn get(address: std::net::SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
