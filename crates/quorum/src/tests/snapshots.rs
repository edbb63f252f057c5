//! Snapshots of the state machine that cross each other.

use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;

use super::*;
use crate::snapshot;
use crate::state_machine::StateMachine;
use crate::type_config::{SnapshotMeta, StoredMembership};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_finished_after_a_newer_one_was_installed_is_not_the_current_one() {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let mut machine = StateMachine::open(&disk, Path::new(DIR), None).unwrap();
    let of = |last: LogId| {
        let meta = SnapshotMeta {
            last_log_id: Some(last),
            last_membership: StoredMembership::default(),
        };
        (
            meta,
            snapshot::encode(last, &StoredMembership::default(), &Default::default(), 0).unwrap(),
        )
    };
    let (older, newer) = (log_id(1, 10), log_id(1, 20));
    let (meta, content) = of(older);
    RaftStateMachine::<TypeConfig>::install_snapshot(&mut machine, &meta, content)
        .await
        .unwrap();
    let mut building = RaftStateMachine::<TypeConfig>::get_snapshot_builder(&mut machine).await;
    let (meta, content) = of(newer);
    RaftStateMachine::<TypeConfig>::install_snapshot(&mut machine, &meta, content)
        .await
        .unwrap();
    building.build_snapshot().await.unwrap();
    let current = RaftStateMachine::<TypeConfig>::get_current_snapshot(&mut machine).await.unwrap();
    assert_eq!(current.unwrap().meta.last_log_id, Some(newer));
    drop(machine);
    // The log may begin behind the newer one.
    let reopened = StateMachine::open(&disk, Path::new(DIR), Some(newer)).unwrap();
    assert_eq!(reopened.snapshot_meta().unwrap().last_log_id, Some(newer));
}
