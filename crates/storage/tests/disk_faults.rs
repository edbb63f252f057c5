//! Full and broken disks, and what a group commit promises.

mod fixture;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::id::Offset;
use dohle_storage::disk::Operation;
use dohle_storage::{Committer, Disk, FaultyDisk, PartitionLog, SyncState, SyncTarget, Syncable};
use fixture::*;
use parking_lot::Mutex;

#[test]
fn a_full_disk_refuses_appends_serves_reads_and_recovers() {
    for free in 0..400 {
        let disk = FaultyDisk::new();
        let mut log = new_log(&disk, small());
        append(&mut log, batch(3, 50, NOW_MS));
        let bytes = read_bytes(&log);
        disk.set_free_bytes(Some(free));
        let mut appended = 1;
        let error = loop {
            match try_append(&mut log, batch(3, 50, NOW_MS)) {
                Ok(_) => appended += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.error_code(), error.is_disk_failure()), (ErrorCode::KafkaStorageError, false));
        assert_eq!(log.log_end_offset().0, 3 * appended);
        assert_eq!(
            read_bytes(&log).len(),
            appended as usize * bytes.len(),
            "no part of the batch remains"
        );
        disk.set_free_bytes(None);
        assert_eq!(append(&mut log, batch(3, 50, NOW_MS)), 3 * appended);
        let log = reopen_crashed(&disk, small(), Offset(0));
        assert_eq!(log.log_end_offset().0, 3 * appended + 3);
    }
}

#[test]
fn a_full_disk_at_a_roll_leaves_the_log_usable() {
    for free in 0..300 {
        let disk = FaultyDisk::new();
        let mut log = new_log(&disk, small());
        let mut count = 0;
        while log.size_in_bytes() < 1700 {
            append(&mut log, producer_batch(1, 0, count, 3));
            count += 3;
        }
        disk.set_free_bytes(Some(free));
        while try_append(&mut log, producer_batch(1, 0, count, 3)).is_ok() {
            count += 3;
        }
        disk.set_free_bytes(None);
        for _ in 0..20 {
            assert_eq!(append(&mut log, producer_batch(1, 0, count, 3)), i64::from(count));
            count += 3;
        }
        assert_eq!(read_offsets(&log.read_view(), 0).len(), count as usize);
        log.close_clean().unwrap();
        let log = reopen_clean(&disk, small());
        assert_eq!(read_offsets(&log.read_view(), 0).len(), count as usize);
    }
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    append(&mut log, batch(3, 50, NOW_MS));
    disk.fail(Operation::Write, ".log", io::ErrorKind::Other, 1);
    let error = try_append(&mut log, batch(3, 50, NOW_MS)).unwrap_err();
    assert!(error.is_disk_failure());
    assert_eq!(log.log_end_offset().0, 3);
    assert_eq!(read_offsets(&reopen_crashed(&disk, small(), Offset(0)).read_view(), 0), [0, 1, 2]);
    assert_eq!(append(&mut log, batch(3, 50, NOW_MS)), 3);
    assert_eq!(read_offsets(&log.read_view(), 0), (0..6).collect::<Vec<_>>());
}

#[test]
fn a_torn_end_that_cannot_be_removed_stops_the_log() {
    let disk = FaultyDisk::new();
    let mut log = new_log(&disk, small());
    append(&mut log, batch(3, 50, NOW_MS));
    disk.fail(Operation::Write, ".log", io::ErrorKind::Other, 1);
    disk.fail(Operation::Open, ".log", io::ErrorKind::Other, 1);
    assert!(try_append(&mut log, batch(3, 50, NOW_MS)).is_err());
    assert_eq!(
        try_append(&mut log, batch(3, 50, NOW_MS)).unwrap_err().error_code(),
        ErrorCode::KafkaStorageError
    );
    assert!(log.close_clean().is_err(), "no clean shutdown with an unknown end");
    assert_eq!(read_offsets(&log.read_view(), 0), [0, 1, 2], "reads go on");
    let mut log = reopen_crashed(&disk, small(), Offset(0));
    assert_eq!(append(&mut log, batch(1, 1, NOW_MS)), 3);
}

/// A log as a broker holds it, which tells the test what the committer does with it.
struct Cell {
    log: Mutex<PartitionLog>,
    state: SyncState,
    events: Mutex<Sender<Result<Offset, String>>>,
    /// If there, a sync says here that it has begun, and waits for the test to let it go on.
    gate: Mutex<Option<Gate>>,
}

struct Gate {
    reached: Sender<()>,
    open: Receiver<()>,
}

impl Cell {
    /// Makes syncs wait. Returns where they announce themselves, and how each is let go on; all are when that is dropped.
    fn close_gate(&self) -> (Receiver<()>, Sender<()>) {
        let (reached, announced) = mpsc::channel();
        let (opener, open) = mpsc::channel();
        *self.gate.lock() = Some(Gate { reached, open });
        (announced, opener)
    }

    fn new(disk: &FaultyDisk, name: &str) -> (Arc<Cell>, Receiver<Result<Offset, String>>) {
        let (sender, receiver) = mpsc::channel();
        let disk: Arc<dyn Disk> = arc(disk);
        let dir = PathBuf::from("data").join(name);
        let log = PartitionLog::open(disk, dir, identity(), Arc::new(small()), Default::default(), NOW_MS).unwrap();
        let cell = Cell {
            log: Mutex::new(log),
            state: SyncState::default(),
            events: Mutex::new(sender),
            gate: Mutex::default(),
        };
        (Arc::new(cell), receiver)
    }
}

impl Syncable for Cell {
    fn sync_state(&self) -> &SyncState {
        &self.state
    }

    fn take_sync_target(&self) -> Option<SyncTarget> {
        let target = self.log.lock().take_sync_target();
        if let Some(gate) = &*self.gate.lock() {
            gate.reached.send(()).ok();
            gate.open.recv().ok();
        }
        target
    }

    fn on_synced(&self, target: &SyncTarget) {
        let synced = self.log.lock().on_synced(target);
        self.events.lock().send(Ok(synced)).ok();
    }

    fn on_sync_failed(&self, error: &io::Error) {
        self.events.lock().send(Err(error.to_string())).ok();
    }
}

const SOON: Duration = Duration::from_secs(10);

fn committer(disk: &FaultyDisk) -> (Committer, Receiver<()>) {
    let (sender, failures) = mpsc::channel();
    let sender = Mutex::new(sender);
    let on_failure = move |_: &io::Error| sender.lock().send(()).unwrap();
    (Committer::new(arc(disk), PathBuf::from("data"), on_failure), failures)
}

#[test]
fn appends_during_a_sync_share_the_next_one() {
    let disk = FaultyDisk::new();
    let (committer, _failures) = committer(&disk);
    let (cell, events) = Cell::new(&disk, "a-0");
    let (reached, open_gate) = cell.close_gate();
    append(&mut cell.log.lock(), batch(1, 10, NOW_MS));
    committer.enqueue(cell.clone());
    reached.recv_timeout(SOON).unwrap();
    for _ in 0..99 {
        append(&mut cell.log.lock(), batch(1, 1, NOW_MS));
        committer.enqueue(cell.clone());
    }
    let before = disk.count(Operation::Sync);
    open_gate.send(()).unwrap();
    assert_eq!(events.recv_timeout(SOON).unwrap(), Ok(Offset(1)));
    open_gate.send(()).unwrap();
    assert_eq!(events.recv_timeout(SOON).unwrap(), Ok(Offset(100)));
    drop(open_gate);
    assert!(events.recv_timeout(Duration::from_millis(50)).is_err(), "nothing more to do");
    let segments = cell.log.lock().segment_count() as u64;
    // One per dirty file and round: log and indexes of the sealed segments, the log of the last, the epoch checkpoint.
    assert!(
        disk.count(Operation::Sync) - before <= 2 + 3 * segments,
        "{}",
        disk.count(Operation::Sync) - before
    );
}

#[test]
fn many_logs_are_synced_with_one_call_for_the_file_system() {
    let disk = FaultyDisk::new();
    let (committer, _failures) = committer(&disk);
    // Sixteen logs keep all threads busy while two hundred queue up.
    let mut gates = Vec::new();
    let blockers: Vec<_> = (0..16)
        .map(|n| {
            let (cell, events) = Cell::new(&disk, &format!("blocker-{n}"));
            let (reached, open_gate) = cell.close_gate();
            gates.push((reached, open_gate));
            append(&mut cell.log.lock(), batch(1, 10, NOW_MS));
            committer.enqueue(cell.clone());
            (cell, events)
        })
        .collect();
    for (reached, _) in &gates {
        reached.recv_timeout(SOON).unwrap();
    }
    let waiting: Vec<_> = (0..200).map(|n| Cell::new(&disk, &format!("waiting-{n}"))).collect();
    for (cell, _) in &waiting {
        append(&mut cell.log.lock(), batch(1, 10, NOW_MS));
        committer.enqueue(cell.clone());
    }
    gates.clear();
    for (_, events) in blockers.iter().chain(&waiting) {
        assert_eq!(events.recv_timeout(SOON).unwrap(), Ok(Offset(1)));
    }
    assert!(
        (1..=2).contains(&disk.count(Operation::SyncFileSystem)),
        "{}",
        disk.count(Operation::SyncFileSystem)
    );
    assert!(disk.count(Operation::Sync) <= 16 + 16 + 2 * 216, "{}", disk.count(Operation::Sync));
    // What was reported is true.
    let after = disk.crash(1);
    for n in 0..200 {
        assert!(
            after
                .len(&PathBuf::from(format!("data/waiting-{n}/00000000000000000000.log")))
                .unwrap()
                .unwrap()
                > 0
        );
    }
}

#[test]
fn a_failed_sync_takes_the_directory_offline_for_ever() {
    let disk = FaultyDisk::new();
    let (committer, failures) = committer(&disk);
    let (cell, events) = Cell::new(&disk, "a-0");
    let (other, other_events) = Cell::new(&disk, "b-0");
    disk.fail(Operation::Sync, "a-0", io::ErrorKind::Other, 1);
    append(&mut cell.log.lock(), batch(1, 10, NOW_MS));
    committer.enqueue(cell.clone());
    assert!(events.recv_timeout(SOON).unwrap().is_err());
    failures.recv_timeout(SOON).unwrap();
    assert!(committer.has_failed());
    let syncs = disk.count(Operation::Sync);
    for (cell, events) in [(cell, events), (other, other_events)] {
        append(&mut cell.log.lock(), batch(1, 10, NOW_MS));
        committer.enqueue(cell.clone());
        assert!(events.recv_timeout(SOON).unwrap().is_err());
        assert_eq!(cell.log.lock().recovery_point().0, 0);
    }
    assert_eq!(disk.count(Operation::Sync), syncs, "there is no second try");
    assert!(failures.try_recv().is_err(), "the failure is reported once");
}
