//! Many consumers on one cluster: how many connections they take, and that none waits behind another.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::consumer::StartAt;
use dohle_client::{ClientConfig, Cluster, Consumer, ConsumerConfig, Properties, TopicPartition};

use crate::server::{RECORDS, Server, TOPIC};

async fn connect(server: &Server) -> Arc<Cluster> {
    Cluster::connect(ClientConfig::for_servers(&server.address()).unwrap())
        .await
        .unwrap()
}

fn consumer(cluster: &Arc<Cluster>, server: &Server) -> Consumer {
    let mut properties = Properties::default();
    properties.set("bootstrap.servers", server.address());
    properties.set("group.id", "g");
    properties.set("fetch.max.wait.ms", "50");
    Consumer::new(cluster.clone(), ConsumerConfig::from_properties(&properties).unwrap())
}

#[tokio::test]
async fn a_connection_that_is_given_back_is_taken_again_or_closed_in_the_end() {
    let server = Server::start(1, &[]).await;
    let cluster = connect(&server).await;
    let first = cluster.take_connection(2).await.unwrap();
    let second = cluster.take_connection(2).await.unwrap();
    server.wait_until("two beside the shared one", |state| state.connections == 3).await;
    cluster.give_back(2, first);
    let again = cluster.take_connection(2).await.unwrap();
    assert!(!again.is_closed());
    server.wait_until("it is the same", |state| state.connections == 3).await;
    drop(again);
    server
        .wait_until("what is not given back is closed", |state| state.connections == 2)
        .await;
    cluster.give_back(2, second);
    // After one to two times SPARE_CONNECTION_IDLE_MAX.
    server.wait_until("nobody took it", |state| state.connections == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_waits_holds_up_no_other_consumer_of_the_cluster() {
    let server = Server::start(1, &[0]).await;
    server.change(|state| state.parks_joins = true);
    let cluster = connect(&server).await;
    let mut joining = consumer(&cluster, &server);
    joining.subscribe([TOPIC]).unwrap();
    assert!(joining.poll(Duration::from_millis(50)).await.unwrap().is_empty());
    let mut reading = consumer(&cluster, &server);
    reading.assign([(TopicPartition::new(TOPIC, 0), StartAt::Earliest)]);
    let mut count = 0;
    while count < RECORDS {
        count += reading.poll(Duration::from_secs(5)).await.unwrap().len() as i64;
    }
    reading.commit().await.unwrap();
    assert_eq!(server.committed()[&0], RECORDS);
    server.change(|state| state.parks_joins = false);
    while joining.membership().is_none() {
        joining.poll(Duration::from_millis(50)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_members_share_one_connection_for_their_heartbeats() {
    let server = Server::start(1, &[]).await;
    let cluster = connect(&server).await;
    let mut members: Vec<Consumer> = (0..20).map(|_| consumer(&cluster, &server)).collect();
    for member in &mut members {
        member.subscribe([TOPIC]).unwrap();
        while member.membership().is_none() {
            member.poll(Duration::from_millis(10)).await.unwrap();
        }
    }
    // The shared one, that of the heartbeats, and the one on which they joined one after the other.
    server.wait_until("few connections", |state| state.connections <= 3).await;
}
