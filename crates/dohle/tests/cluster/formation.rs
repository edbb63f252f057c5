//! Nodes become one cluster: by a list of voters, without any other preparation.

use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use dohle_protocol::messages::init_producer_id::InitProducerIdRequest;
use dohle_protocol::messages::unregister_broker::UnregisterBrokerRequest;
use tokio::time::timeout;
use uuid::Uuid;

use crate::nodes::{Nodes, PATIENCE, ask, assert_created, until};

const ALL: [i32; 3] = [1, 2, 3];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_agree_on_a_cluster_and_each_passes_changes_on() {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    let metadata = nodes.metadata(1).await;
    assert!(metadata.cluster_id.is_some());
    for id in ALL {
        assert_eq!(nodes.metadata(id).await.cluster_id, metadata.cluster_id);
        // Whoever answers is a broker already; the others may be about to be.
        until(ALL.to_vec(), async || nodes.brokers(id).await).await;
    }
    for id in ALL {
        assert_created(&nodes.create(id, &format!("by-{id}"), 3, 3, 10_000).await);
        assert_eq!(
            nodes.topics(id).await.len(),
            id as usize,
            "it is carried out where it was asked for"
        );
        let taken = nodes.create(id, "by-1", 1, 1, 10_000).await;
        assert_eq!(taken.error_code, ErrorCode::TopicAlreadyExists.code());
    }
    let too_many = nodes.create(2, "too-many", 1, 4, 10_000).await;
    assert_eq!(too_many.error_code, ErrorCode::InvalidReplicationFactor.code());
    let mut ids = Vec::new();
    for id in ALL {
        let answer = nodes.ask(id, &InitProducerIdRequest::default()).await;
        assert_eq!(answer.error_code, 0);
        ids.push(answer.producer_id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3, "a producer id is given once");
    let took = nodes.stop(&ALL).await;
    assert!(took < Duration::from_secs(5), "all of them end within seconds, not {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_come_back_to_the_same_cluster() {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    assert_created(&nodes.create(1, "kept", 2, 3, 10_000).await);
    let cluster_id = nodes.metadata(1).await.cluster_id;
    nodes.stop(&ALL).await;
    nodes.start(&ALL).await;
    for id in ALL {
        until(ALL.to_vec(), async || nodes.brokers(id).await).await;
        assert_eq!(nodes.metadata(id).await.cluster_id, cluster_id);
        assert_eq!(nodes.topics(id).await, ["kept"]);
    }
    ALL.into_iter().for_each(|id| nodes.kill(id));
    nodes.start(&ALL).await;
    until(ALL.to_vec(), async || nodes.brokers(2).await).await;
    assert_eq!(nodes.topics(2).await, ["kept"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quorum_is_described_by_whoever_is_asked() {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    let controller = nodes.controller(1).await;
    for id in ALL {
        let quorum = nodes.quorum(id).await;
        assert_eq!(quorum.leader_id, controller);
        assert!(
            quorum.current_voters.iter().all(|voter| voter.log_end_offset > 0),
            "as the leader knows: {quorum:?}"
        );
    }
    for (id, address) in nodes.controller_addresses() {
        let described = nodes.describe_controllers(&address).await;
        assert_eq!((described.error_code, described.controller_id), (0, controller));
        let told = described.brokers.iter().find(|voter| voter.broker_id == id).unwrap();
        assert_eq!(format!("{}:{}", told.host, told.port), address);
    }
    let client = nodes.address(1);
    assert_eq!(
        nodes.describe_controllers(&client).await.error_code,
        ErrorCode::MismatchedEndpointType.code()
    );
    let topic = CreatableTopic {
        name: "by-controller".to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        timeout_ms: 10_000,
        ..CreateTopicsRequest::default()
    };
    for address in nodes.controller_addresses().values() {
        let result = ask(address, &request).await.topics.remove(0);
        let expected = [ErrorCode::None.code(), ErrorCode::TopicAlreadyExists.code()];
        assert!(expected.contains(&result.error_code), "{result:?}");
    }
    until(vec!["by-controller".to_owned()], async || nodes.topics(1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_directory_of_another_cluster_is_refused() {
    let mut nodes = Nodes::of(&ALL);
    nodes.start(&ALL).await;
    let cluster_id = nodes.metadata(1).await.cluster_id.unwrap();
    let mut others = Nodes::of(&[4]);
    others.start(&[4]).await;
    let foreign_id = others.metadata(4).await.cluster_id.unwrap();
    others.stop(&[4]).await;

    let voters = nodes.voters.clone();
    others.prepare(
        4,
        &[
            ("process.roles", "broker"),
            ("listeners", "PLAINTEXT://127.0.0.1:0"),
            ("controller.quorum.voters", &voters),
        ],
    );
    let error = others.try_start(4).await.unwrap_err().to_string();
    assert!(error.contains(&cluster_id) && error.contains(&foreign_id), "{error}");
    assert_created(&nodes.create(1, "unharmed", 1, 3, 10_000).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_broker_whose_number_another_process_has_got_ends() {
    let mut nodes = Nodes::of(&[1]);
    nodes.add_broker(2);
    nodes.start(&[1]).await;
    nodes.start(&[2]).await;
    let unregister = UnregisterBrokerRequest {
        broker_id: 2,
        ..UnregisterBrokerRequest::default()
    };
    let register = BrokerRegistrationRequest {
        broker_id: 2,
        cluster_id: nodes.metadata(1).await.cluster_id.unwrap(),
        incarnation_id: Uuid::from_u128(2),
        ..BrokerRegistrationRequest::default()
    };
    let short = Duration::from_millis(200);
    assert!(timeout(short, nodes.broker(2).superseded()).await.is_err());
    // It may be quicker to register again.
    until(0, async || {
        nodes.ask(1, &unregister).await;
        ask(&nodes.controller_addresses()[&1], &register).await.error_code
    })
    .await;
    timeout(PATIENCE, nodes.broker(2).superseded()).await.unwrap();
    assert!(timeout(short, nodes.broker(1).superseded()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_number_that_a_living_broker_has_is_refused() {
    let mut nodes = Nodes::of(&[1]);
    nodes.add_broker(2);
    nodes.start(&[1]).await;
    nodes.start(&[2]).await;
    let mut twin = Nodes::of(&[1]);
    twin.voters = nodes.voters.clone();
    twin.add_broker(2);
    let error = twin.try_start(2).await.unwrap_err().to_string();
    assert!(error.contains("Another broker is registered with that broker id"), "{error}");
    assert_eq!(nodes.brokers(2).await, [1, 2]);
    assert_created(&nodes.create(2, "unharmed", 1, 2, 10_000).await);
}
