//! Controllers and brokers in processes of their own, and nodes that come later.

use std::time::Duration;

use dohle_protocol::messages::describe_quorum::ReplicaState;
use dohle_storage::{RealDisk, initial_controllers};

use crate::nodes::{Nodes, assert_created, free_port, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn controllers_and_brokers_apart() {
    let mut nodes = Nodes::with_roles(&[1, 2, 3], "controller");
    for id in [11, 12] {
        nodes.add_broker(id);
    }
    nodes.start(&[1, 2, 3, 11, 12]).await;
    for id in [11, 12] {
        until(vec![11, 12], async || nodes.brokers(id).await).await;
        assert_created(&nodes.create(id, &format!("by-{id}"), 2, 2, 10_000).await);
    }
    let quorum = nodes.quorum(12).await;
    let ids = |replicas: &[ReplicaState]| -> Vec<i32> { replicas.iter().map(|replica| replica.replica_id).collect() };
    assert_eq!(ids(&quorum.current_voters), [1, 2, 3]);
    assert!(ids(&quorum.observers).iter().all(|id| [11, 12].contains(id)), "{quorum:?}");

    // Brokers first, or all at once: nobody waits for anybody for long.
    let took = nodes.stop(&[1, 2, 3, 11, 12]).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    nodes.start(&[1, 2, 3, 11, 12]).await;
    assert_eq!(nodes.topics(11).await, ["by-11", "by-12"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_alone_is_joined_by_a_broker_that_asks_it() {
    let mut nodes = Nodes::of(&[]);
    let controller = format!("127.0.0.1:{}", free_port());
    let listeners = format!("PLAINTEXT://127.0.0.1:0,CONTROLLER://{controller}");
    // As in Apache Kafka's own file.
    nodes.prepare(
        1,
        &[("listeners", &listeners), ("controller.quorum.bootstrap.servers", &controller)],
    );
    nodes.start(&[1]).await;
    assert_created(&nodes.create(1, "alone", 1, 1, 10_000).await);
    assert_eq!(nodes.brokers(1).await, [1]);

    let joining = [
        ("process.roles", "broker"),
        ("listeners", "PLAINTEXT://127.0.0.1:0"),
        ("controller.quorum.bootstrap.servers", &controller),
    ];
    nodes.prepare(2, &joining);
    nodes.start(&[2]).await;
    for id in [1, 2] {
        until(vec![1, 2], async || nodes.brokers(id).await).await;
    }
    assert_eq!(nodes.topics(2).await, ["alone"]);
    assert_created(&nodes.create(2, "together", 2, 2, 10_000).await);
    // Where the first one is, is known to the second.
    let first = nodes.address(1);
    until(first, async || {
        let brokers = nodes.metadata(2).await.brokers;
        brokers
            .iter()
            .find(|broker| broker.node_id == 1)
            .map_or_else(String::new, |broker| format!("{}:{}", broker.host, broker.port))
    })
    .await;
    nodes.stop(&[2]).await;
    until(vec![1], async || nodes.brokers(1).await).await;
    nodes.stop(&[1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_controller_without_voters_is_one_when_it_was_formatted_so() {
    let mut nodes = Nodes::of(&[1, 2, 3]);
    let disk = RealDisk::default();
    for id in [1, 2, 3] {
        let dir = nodes.dir(id);
        std::fs::create_dir_all(&dir).unwrap();
        initial_controllers::write(&disk, &dir, &nodes.voters).unwrap();
        nodes.set(id, "controller.quorum.voters", "");
    }
    nodes.start(&[1, 2, 3]).await;
    assert_eq!(nodes.quorum(1).await.current_voters.len(), 3);
    let listeners = format!("PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:{}", free_port());
    nodes.prepare(4, &[("listeners", &listeners)]);
    std::fs::create_dir_all(nodes.dir(4)).unwrap();
    initial_controllers::write(&disk, &nodes.dir(4), "1@127.0.0.1:1").unwrap();
    let error = nodes.try_start(4).await.unwrap_err().to_string();
    assert!(
        error.contains("initial controllers 1@127.0.0.1:1") && error.contains("not among them"),
        "{error}"
    );
}
