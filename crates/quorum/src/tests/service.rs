//! Whole quorums of one: what a request changes, what is told about it, and what is still true after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest};
use dohle_metadata::record::{NoOpRecord, RemoveTopicRecord};
use dohle_protocol::id::{BrokerId, LeaderEpoch, Offset};
use dohle_protocol::messages::broker_heartbeat::BrokerHeartbeatRequest;
use dohle_protocol::messages::broker_registration::BrokerRegistrationRequest;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use dohle_storage::disk::Operation;
use openraft::RaftMetrics;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

use super::cut_disk::CutDisk;
use super::*;
use crate::limits;
use crate::peers::NoPeers;
use crate::quorum::{Quorum, QuorumConfig, Role};
use crate::start_error::StartError;
use crate::submit_error::SubmitError;
use crate::type_config::Applied;

const ALREADY_EXISTS: i16 = 36;

async fn start(disk: &(impl Disk + Clone + 'static)) -> Result<Quorum, StartError> {
    start_in("blue", disk).await
}

async fn start_in(cluster: &str, disk: &(impl Disk + Clone + 'static)) -> Result<Quorum, StartError> {
    // The directory above is somebody else's care.
    let above = disk.create_dir(Path::new("data")).and_then(|()| disk.sync_dir(Path::new("")));
    above.map_err(|source| StartError::Disk {
        path: "data".into(),
        source,
    })?;
    let config = QuorumConfig {
        node_id: 1,
        role: Role::Voter,
        cluster_id: Some(cluster.to_owned()),
        dir: DIR.into(),
        voters: BTreeMap::from([(1, "localhost:9093".to_owned())]),
        bootstrap: Vec::new(),
        peers: Arc::new(NoPeers),
        controller: Controller::new(BrokerId(1)),
    };
    Quorum::start(config, Arc::new(disk.clone())).await
}

/// Registers the broker without which topics have no place.
async fn join(quorum: &Quorum) -> Result<(), SubmitError> {
    let registration = BrokerRegistrationRequest {
        broker_id: 1,
        incarnation_id: Uuid::from_u128(7),
        cluster_id: "blue".to_owned(),
        ..Default::default()
    };
    let ControllerReply::RegisterBroker(Ok(broker_epoch)) = quorum.submit(ControllerRequest::RegisterBroker(registration)).await? else {
        panic!("not registered");
    };
    let heartbeat = BrokerHeartbeatRequest {
        broker_id: 1,
        broker_epoch,
        current_metadata_offset: quorum.version().offset.0,
        ..Default::default()
    };
    quorum.submit(ControllerRequest::BrokerHeartbeat(heartbeat)).await.map(|_| ())
}

/// Returns the error code.
async fn create(quorum: &Quorum, name: &str) -> Result<i16, SubmitError> {
    let topic = CreatableTopic {
        name: name.to_owned(),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest {
        topics: vec![topic],
        ..Default::default()
    };
    match quorum.submit(ControllerRequest::CreateTopics(request)).await? {
        ControllerReply::CreateTopics(response) => Ok(response.topics[0].error_code),
        other => panic!("{other:?} answers another request"),
    }
}

fn has(quorum: &Quorum, name: &str) -> bool {
    quorum.image().topic(name).is_some()
}

/// Of everything that was created so far.
async fn snapshot(quorum: &Quorum) {
    let last = quorum.version().offset.0 as u64;
    voter(quorum).raft.trigger().snapshot().await.unwrap();
    let wait = voter(quorum).raft.wait(Some(Duration::from_secs(20)));
    let is_taken = |metrics: &RaftMetrics<TypeConfig>| metrics.snapshot.is_some_and(|snapshot| snapshot.index >= last);
    wait.metrics(is_taken, "a snapshot").await.unwrap();
    // What is purged follows the snapshot; a request more waits for it.
    assert_eq!(create(quorum, &format!("after-{last}")).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_quorum_leads_and_bears_the_name_of_its_cluster() {
    let quorum = start(&FaultyDisk::new()).await.unwrap();
    assert_eq!(quorum.image().cluster_id(), Some("blue"));
    let status = quorum.status();
    assert_eq!(
        (status.leader, status.leader_epoch, status.failure),
        (Some(1), LeaderEpoch(1), None)
    );
    assert_eq!(status.voters.len(), 1);
    assert_eq!(status.voters[0].log_end_offset, status.high_watermark);
    assert_eq!(status.high_watermark, quorum.version().offset + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_requests_are_durable_when_they_are_answered() {
    let disk = FaultyDisk::new();
    let quorum = start(&disk).await.unwrap();
    join(&quorum).await.unwrap();
    for n in 0..1000 {
        assert_eq!(create(&quorum, &format!("t{n}")).await, Ok(0));
    }
    let before = quorum.image();
    let restarted = start(&disk.crash(1)).await.unwrap();
    assert!(restarted.image() == before, "the image is not what it was");
    assert_eq!(create(&restarted, "t999").await, Ok(ALREADY_EXISTS));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_share_a_sync() {
    let disk = FaultyDisk::new();
    let quorum = Arc::new(start(&disk).await.unwrap());
    join(&quorum).await.unwrap();
    let (syncs, entries) = (disk.count(Operation::Sync), quorum.version().offset);
    let mut requests = JoinSet::new();
    for n in 0..400 {
        let quorum = Arc::clone(&quorum);
        requests.spawn(async move { create(&quorum, &format!("t{}", n / 2)).await });
    }
    let replies = requests.join_all().await;
    // Who comes second is told so, though the first one may be in the same entry.
    assert_eq!(replies.iter().filter(|reply| **reply == Ok(0)).count(), 200);
    assert_eq!(replies.iter().filter(|reply| **reply == Ok(ALREADY_EXISTS)).count(), 200);
    let (syncs, entries) = (disk.count(Operation::Sync) - syncs, quorum.version().offset - entries);
    assert!(syncs < 100 && entries < 100, "{syncs} syncs and {entries} entries for 200 topics");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_replaces_the_log_before_it() {
    let disk = FaultyDisk::new();
    let quorum = start(&disk).await.unwrap();
    join(&quorum).await.unwrap();
    for n in 0..limits::ENTRIES_KEPT_BELOW_SNAPSHOT + 100 {
        assert_eq!(create(&quorum, &format!("t{n}")).await, Ok(0));
    }
    snapshot(&quorum).await;
    snapshot(&quorum).await;
    snapshot(&quorum).await;
    let before = quorum.image();
    assert!(voter(&quorum).store.purged().is_some_and(|purged| purged.index > 100));
    let files = || disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name);
    let snapshots: Vec<String> = files().filter(|name| name.ends_with(".checkpoint")).collect();
    assert_eq!(snapshots.len(), limits::SNAPSHOTS_KEPT);

    let crashed = disk.crash(1);
    assert!(start(&crashed).await.unwrap().image() == before);
    // The newer snapshot is damaged: the one before and the log have everything.
    crashed.tamper(&Path::new(DIR).join(&snapshots[1]), |content| content[100] ^= 1);
    let restarted = start(&crashed).await.unwrap();
    assert!(restarted.image() == before);
    assert_eq!(create(&restarted, "t0").await, Ok(ALREADY_EXISTS));
    drop(restarted);
    // Both are damaged: the beginning of the log is missing, and is not made up.
    crashed.tamper(&Path::new(DIR).join(&snapshots[0]), |content| content.truncate(content.len() - 1));
    assert!(matches!(start(&crashed).await, Err(StartError::SnapshotMissing { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_fails_the_quorum_and_nothing_else() {
    let disk = FaultyDisk::new();
    let quorum = start(&disk).await.unwrap();
    join(&quorum).await.unwrap();
    assert_eq!(create(&quorum, "before").await, Ok(0));
    disk.fail(Operation::Sync, ".log", io::ErrorKind::Other, 1);
    for name in ["lost", "refused"] {
        let error = create(&quorum, name).await.unwrap_err();
        assert!(matches!(error, SubmitError::Failed(_)), "{error}");
        assert!(!has(&quorum, name));
    }
    assert!(quorum.status().failure.is_some());
    assert!(has(&quorum, "before"));
    assert!(timeout(Duration::from_secs(10), quorum.failed()).await.is_ok());
    assert!(quorum.shutdown().await.is_err());
    assert!(has(&start(&disk.crash(1)).await.unwrap(), "before"));
}

#[tokio::test(flavor = "multi_thread")]
async fn f11_a_disk_without_room_fails_the_quorum_aloud() {
    let disk = FaultyDisk::new();
    let quorum = start(&disk).await.unwrap();
    join(&quorum).await.unwrap();
    disk.set_free_bytes(Some(0));
    assert!(create(&quorum, "no-room").await.is_err());
    let failure = timeout(Duration::from_secs(10), quorum.failed()).await.unwrap();
    assert!(failure.contains("__cluster_metadata-0"), "{failure}");
    disk.set_free_bytes(None);
    assert!(create(&quorum, "too-late").await.is_err());
    drop(quorum);
    assert_eq!(create(&start(&disk).await.unwrap(), "room").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_shutdown_answers_who_comes_late() {
    let disk = FaultyDisk::new();
    let quorum = start(&disk).await.unwrap();
    quorum.shutdown().await.unwrap();
    assert_eq!(create(&quorum, "late").await, Err(SubmitError::ShutDown));
    assert!(
        timeout(Duration::from_millis(200), quorum.failed()).await.is_err(),
        "a shutdown is no failure"
    );
    assert!(quorum.shutdown().await.is_ok());
    assert!(!has(&start(&disk).await.unwrap(), "late"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_deposed_leader_decided_changes_nothing() {
    let quorum = start(&FaultyDisk::new()).await.unwrap();
    let before = quorum.version();
    let proposal = Proposal {
        decided_term: 0,
        decided_by: 1,
        records: vec![NoOpRecord::default().into()],
    };
    let written = voter(&quorum).raft.client_write(proposal.clone()).await.unwrap();
    assert_eq!(written.data, Applied::Fenced);
    assert_eq!(quorum.version().offset, before.offset);
    let current = Proposal {
        decided_term: 1,
        ..proposal
    };
    assert_eq!(voter(&quorum).raft.client_write(current).await.unwrap().data, Applied::Done);
    assert_eq!(quorum.version().offset, before.offset + 2);
}

/// A defect of ours must not leave everybody waiting.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_contradicts_the_metadata_fails_the_quorum_aloud() {
    let quorum = start(&FaultyDisk::new()).await.unwrap();
    join(&quorum).await.unwrap();
    let impossible = Proposal {
        decided_term: 1,
        decided_by: 1,
        records: vec![RemoveTopicRecord::default().into()],
    };
    assert!(voter(&quorum).raft.client_write(impossible).await.is_err());
    let error = create(&quorum, "late").await.unwrap_err();
    assert!(matches!(error, SubmitError::Failed(_)), "{error}");
    assert!(quorum.status().failure.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_get_every_change_once_and_in_order() {
    let quorum = start(&FaultyDisk::new()).await.unwrap();
    join(&quorum).await.unwrap();
    let mut subscription = quorum.subscribe();
    assert_eq!(subscription.start.offset, quorum.version().offset);
    let mut offset = subscription.start.offset;
    for n in 0..50 {
        assert_eq!(create(&quorum, &format!("t{n}")).await, Ok(0));
        let change = subscription.changes.recv().await.unwrap();
        let created: Vec<&str> = change.delta.topics_created.iter().map(|topic| &*topic.name).collect();
        assert_eq!(created, [format!("t{n}")]);
        assert!(change.version.image.topic(created[0]).is_some());
        assert_eq!(change.version.offset, offset + 1);
        offset = change.version.offset;
    }
    assert_eq!(quorum.subscribe().start.offset, offset);
    drop(subscription);
    assert_eq!(create(&quorum, "unseen").await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_cluster_or_another_quorum_than_this_release_runs_is_refused() {
    let disk = FaultyDisk::new();
    start(&disk).await.unwrap().shutdown().await.unwrap();
    let refusal = start_in("green", &disk).await.map(|_| ()).unwrap_err();
    assert!(
        matches!(&refusal, StartError::OtherCluster { found, .. } if found == "blue"),
        "{refusal}"
    );
    assert_eq!(start(&disk).await.unwrap().version().offset, Offset(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_answered_requests_survive_a_power_cut_at_every_point() {
    for changes in 0.. {
        let disk = CutDisk::new(changes);
        let mut created = Vec::new();
        if let Ok(quorum) = start(&disk).await
            && join(&quorum).await.is_ok()
        {
            for n in 0..4 {
                let name = format!("t{n}");
                if create(&quorum, &name).await == Ok(0) {
                    created.push(name);
                }
            }
        }
        for seed in 0..4 {
            let restarted = start(&disk.after_power_cut(seed))
                .await
                .unwrap_or_else(|error| panic!("after {changes} changes: {error}"));
            join(&restarted).await.unwrap();
            for name in &created {
                assert!(has(&restarted, name), "{name} is lost; cut after {changes} changes, seed {seed}");
            }
            assert_eq!(create(&restarted, "next").await, Ok(0));
        }
        if !disk.power_has_failed() {
            assert!(created.len() == 4 && changes > 10, "{created:?} after {changes} changes");
            return;
        }
    }
}
