//! What a store still has after it was closed, and what it refuses to be opened with.

use super::*;
use crate::start_error::StartError;

fn disk() -> FaultyDisk {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    disk
}

async fn filled(disk: &FaultyDisk) -> LogStore<Tokio> {
    let mut store = open(disk);
    store.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    append(&mut store, &[entry(1, 0), entry(1, 1), entry(1, 2)]).await.unwrap();
    store.save_vote(&Vote::new_committed(2, 1)).await.unwrap();
    append(&mut store, &[entry(2, 3), entry(2, 4)]).await.unwrap();
    store
}

fn refusal(disk: &FaultyDisk) -> StartError {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    LogStore::<Tokio>::open(&disk, Path::new(DIR), 1)
        .map(|_| ())
        .expect_err("must not start")
}

#[tokio::test]
async fn vote_and_entries_are_there_after_a_restart() {
    let disk = disk();
    filled(&disk).await;
    let mut store = open(&disk);
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new_committed(2, 1)));
    assert_eq!(
        log_ids(&mut store).await,
        [log_id(1, 0), log_id(1, 1), log_id(1, 2), log_id(2, 3), log_id(2, 4)]
    );
    assert_eq!(store.try_get_log_entries(3..4).await.unwrap(), [entry(2, 3)]);
}

#[tokio::test]
async fn truncated_and_purged_entries_stay_away_after_a_restart() {
    let disk = disk();
    let mut store = filled(&disk).await;
    store.truncate_after(Some(log_id(2, 3))).await.unwrap();
    store.purge(log_id(1, 1)).await.unwrap();
    let mut store = open(&disk);
    assert_eq!(log_ids(&mut store).await, [log_id(1, 2), log_id(2, 3)]);
    let state = store.get_log_state().await.unwrap();
    assert_eq!(
        (state.last_purged_log_id, state.last_log_id),
        (Some(log_id(1, 1)), Some(log_id(2, 3)))
    );
    append(&mut store, &[entry(2, 4)]).await.unwrap();
    // A snapshot from elsewhere reaches beyond the log.
    store.purge(log_id(2, 9)).await.unwrap();
    let mut store = open(&disk);
    assert_eq!(log_ids(&mut store).await, []);
    append(&mut store, &[entry(2, 10)]).await.unwrap();
    assert_eq!(log_ids(&mut open(&disk)).await, [log_id(2, 10)]);
}

#[tokio::test]
async fn d6_a_vote_that_cannot_be_read_stops_the_node() {
    let disk = disk();
    filled(&disk).await;
    let path = Path::new(DIR).join("quorum-state");
    disk.tamper(&path, |content| content.truncate(content.len() / 2));
    assert!(matches!(refusal(&disk), StartError::VoteUnreadable { .. }));
    disk.tamper(&path, Vec::clear);
    assert!(matches!(refusal(&disk), StartError::VoteUnreadable { .. }));
    disk.remove_file(&path).unwrap();
    assert!(matches!(refusal(&disk), StartError::VoteMissing { .. }));
}

#[tokio::test]
async fn d6_a_vote_from_an_older_copy_stops_the_node() {
    let disk = disk();
    let path = Path::new(DIR).join("quorum-state");
    let mut store = open(&disk);
    store.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    let old = disk.read(&path).unwrap();
    store.save_vote(&Vote::new_committed(2, 1)).await.unwrap();
    append(&mut store, &[entry(2, 0)]).await.unwrap();
    disk.tamper(&path, |content| *content = old);
    assert!(matches!(
        refusal(&disk),
        StartError::VoteOlderThanLog {
            vote_term: 1,
            log_term: 2,
            ..
        }
    ));
}

#[tokio::test]
async fn d6_a_log_that_lost_synced_entries_stops_the_node_and_is_left_as_it_is() {
    let disk = disk();
    let store = filled(&disk).await;
    store.close().await.unwrap();
    let log = Path::new(DIR).join("00000000000000000000.log");
    let whole = disk.read(&log).unwrap();
    let damages: [fn(&mut Vec<u8>); 4] = [
        Vec::clear,
        |log| log.truncate(log.len() - 1),
        |log| log[70] ^= 1,
        |log| *log.last_mut().unwrap() ^= 1,
    ];
    for damage in damages {
        disk.tamper(&log, |content| {
            content.clone_from(&whole);
            damage(content);
        });
        let damaged = disk.read(&log).unwrap();
        assert!(matches!(refusal(&disk), StartError::LogTooShort { durable_end: 5, .. }));
        assert_eq!(disk.read(&log).unwrap(), damaged);
    }
    disk.remove_file(&log).unwrap();
    assert!(matches!(
        refusal(&disk),
        StartError::LogTooShort {
            end: 0,
            durable_end: 5,
            ..
        }
    ));
}

/// Entries after the last vote are synced one by one, without a word in `quorum-state`.
#[tokio::test]
async fn d6_an_entry_behind_a_damaged_one_proves_a_loss_and_a_torn_end_does_not() {
    let disk = disk();
    let log = Path::new(DIR).join("00000000000000000000.log");
    let mut store = open(&disk);
    store.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    let mut ends = vec![0];
    for index in 0..4 {
        append(&mut store, &[entry(1, index)]).await.unwrap();
        ends.push(disk.read(&log).unwrap().len());
    }
    drop(store);
    let whole = disk.read(&log).unwrap();
    // Base offset and leader epoch are outside of the checksum.
    for position in (8..12).chain(16..ends[2] - ends[1]) {
        disk.tamper(&log, |content| {
            content.clone_from(&whole);
            content[ends[1] + position] ^= 4;
        });
        assert!(
            matches!(
                refusal(&disk),
                StartError::LogTooShort {
                    end: 1,
                    durable_end: 2,
                    ..
                }
            ),
            "byte {position}"
        );
    }
    disk.tamper(&log, |content| {
        content.clone_from(&whole);
        content.drain(ends[1]..ends[2]);
    });
    assert!(matches!(
        refusal(&disk),
        StartError::LogTooShort {
            end: 1,
            durable_end: 2,
            ..
        }
    ));
    disk.tamper(&log, |content| content.truncate(ends[1] + 20));
    assert_eq!(log_ids(&mut open(&disk)).await.len(), 1);
    // What a start has found is written down.
    disk.tamper(&log, Vec::clear);
    assert!(matches!(
        refusal(&disk),
        StartError::LogTooShort {
            end: 0,
            durable_end: 1,
            ..
        }
    ));
}

#[tokio::test]
async fn f11_a_start_without_room_says_so_and_takes_no_log_for_damaged() {
    let disk = disk();
    filled(&disk).await;
    disk.set_free_bytes(Some(0));
    let error = refusal(&disk);
    assert!(matches!(error, StartError::Disk { .. }), "{error}");
    disk.set_free_bytes(None);
    assert_eq!(log_ids(&mut open(&disk)).await.len(), 5);
}

#[tokio::test]
async fn the_directory_of_another_node_is_refused() {
    let disk = disk();
    filled(&disk).await;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let error = LogStore::<Tokio>::open(&disk, Path::new(DIR), 2).map(|_| ()).unwrap_err();
    assert!(matches!(
        error,
        StartError::OtherNode {
            found: 1,
            configured: 2,
            ..
        }
    ));
}
