//! The power fails after every single change of the disk in turn; what was acknowledged is there when it is back.

use std::sync::atomic::{AtomicU64, Ordering};

use dohle_storage::disk::Operation;

use super::cut_disk::CutDisk;
use super::*;
use crate::runtime::Runtime;

/// What openraft was told to be on disk, and what it asked for besides.
#[derive(Debug, Default)]
struct Told {
    vote: Option<Vote>,
    vote_asked: Option<Vote>,
    entries: Vec<LogId>,
    entries_asked: Vec<LogId>,
    purged: Option<LogId>,
    purged_asked: Option<LogId>,
}

impl Told {
    async fn vote(&mut self, store: &mut LogStore<Tokio>, term: u64) -> io::Result<()> {
        let vote = Vote::new_committed(term, 1);
        self.vote_asked = Some(vote);
        store.save_vote(&vote).await?;
        self.vote = Some(vote);
        Ok(())
    }

    async fn append(&mut self, store: &mut LogStore<Tokio>, entries: &[Entry]) -> io::Result<()> {
        self.entries_asked.extend(entries.iter().map(|entry| entry.log_id));
        append(store, entries).await?;
        self.entries = self.entries_asked.clone();
        Ok(())
    }

    async fn truncate_after(&mut self, store: &mut LogStore<Tokio>, last: LogId) -> io::Result<()> {
        // On the way the entries may be there or not.
        self.entries.retain(|id| id.index <= last.index);
        store.truncate_after(Some(last)).await?;
        self.entries_asked = self.entries.clone();
        Ok(())
    }

    async fn purge(&mut self, store: &mut LogStore<Tokio>, last: LogId) -> io::Result<()> {
        self.purged_asked = Some(last);
        store.purge(last).await?;
        self.purged = Some(last);
        Ok(())
    }
}

/// A life with a bit of everything, until the power fails or the end.
async fn live(disk: &CutDisk, told: &mut Told) -> io::Result<()> {
    disk.create_dir(Path::new("data"))?;
    disk.sync_dir(Path::new(""))?;
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut store = LogStore::open(&disk, Path::new(DIR), 1).map_err(io::Error::other)?;
    told.vote(&mut store, 1).await?;
    told.append(&mut store, &[entry(1, 0)]).await?;
    told.append(&mut store, &[entry(1, 1)]).await?;
    told.append(&mut store, &[entry(1, 2), entry(1, 3)]).await?;
    told.vote(&mut store, 2).await?;
    told.append(&mut store, &[entry(2, 4), entry(2, 5)]).await?;
    told.truncate_after(&mut store, log_id(1, 2)).await?;
    told.vote(&mut store, 3).await?;
    told.append(&mut store, &[entry(3, 3)]).await?;
    told.purge(&mut store, log_id(1, 1)).await?;
    told.append(&mut store, &[entry(3, 4)]).await?;
    store.close().await
}

async fn check(told: &Told, disk: &FaultyDisk, at: &str) {
    let mut store = open(disk);
    let vote = store.read_vote().await.unwrap();
    assert!(vote == told.vote || vote == told.vote_asked, "{at}: {vote:?} of {told:?}");
    let purged = store.purged();
    assert!(purged == told.purged || purged == told.purged_asked, "{at}: {purged:?} of {told:?}");
    let start = purged.map_or(0, |purged| purged.index + 1);
    let entries = log_ids(&mut store).await;
    let kept: Vec<LogId> = told.entries.iter().copied().filter(|id| id.index >= start).collect();
    let asked: Vec<LogId> = told.entries_asked.iter().copied().filter(|id| id.index >= start).collect();
    assert!(entries.starts_with(&kept), "{at}: {entries:?} lack some of {kept:?}");
    assert!(asked.starts_with(&entries), "{at}: {entries:?} were never {asked:?}");
    // The node goes on where it stopped.
    let next = entries.last().map_or(start, |last| last.index + 1);
    store.save_vote(&Vote::new(9, 1)).await.unwrap();
    append(&mut store, &[entry(9, next)]).await.unwrap();
    assert_eq!(log_ids(&mut open(disk)).await.last(), Some(&log_id(9, next)), "{at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f13_what_was_acknowledged_survives_a_power_cut_at_every_point() {
    for changes in 0.. {
        let disk = CutDisk::new(changes);
        let mut told = Told::default();
        let outcome = live(&disk, &mut told).await;
        assert_eq!(outcome.is_err(), disk.power_has_failed(), "{outcome:?} after {changes} changes");
        for seed in 0..16 {
            let found = disk.after_power_cut(seed);
            check(&told, &found, &format!("cut after {changes} changes, seed {seed}")).await;
        }
        if outcome.is_ok() {
            assert!(changes > 20, "only {changes} changes seen");
            return;
        }
    }
}

#[tokio::test]
async fn f13_an_append_that_could_not_be_synced_is_an_error_for_ever() {
    let disk = FaultyDisk::new();
    disk.create_dir(Path::new(DIR)).unwrap();
    let mut store = open(&disk);
    store.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    append(&mut store, &[entry(1, 0)]).await.unwrap();
    disk.fail(Operation::Sync, ".log", io::ErrorKind::Other, 1);
    assert!(append(&mut store, &[entry(1, 1)]).await.is_err());
    // The next sync would succeed, but what the failed one covered may be lost.
    assert!(append(&mut store, &[entry(1, 2)]).await.is_err());
    assert!(store.save_vote(&Vote::new(2, 1)).await.is_err());
    assert!(store.close().await.is_err());
}

#[tokio::test]
async fn f13_what_a_restart_finds_unsynced_is_synced_before_it_counts() {
    let disk = FaultyDisk::new();
    let mut store = open(&disk);
    disk.sync_dir(Path::new("")).unwrap();
    store.save_vote(&Vote::new_committed(1, 1)).await.unwrap();
    disk.fail(Operation::Sync, ".log", io::ErrorKind::Other, 1);
    assert!(append(&mut store, &[entry(1, 0), entry(1, 1)]).await.is_err());
    // The process is gone, the machine is not.
    assert_eq!(log_ids(&mut open(&disk)).await, [log_id(1, 0), log_id(1, 1)]);
    for seed in 0..16 {
        assert_eq!(
            log_ids(&mut open(&disk.crash(seed))).await,
            [log_id(1, 0), log_id(1, 1)],
            "seed {seed}"
        );
    }
}

/// Blocking jobs run at once, except for the first one, which is so late that it does not run at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct TardyAtFirst;

impl Runtime for TardyAtFirst {
    type Async = <Tokio as Runtime>::Async;

    fn run_blocking(job: Box<dyn FnOnce() + Send>) {
        static JOBS: AtomicU64 = AtomicU64::new(0);
        if JOBS.fetch_add(1, Ordering::SeqCst) > 0 {
            job();
        }
    }

    fn now_ms() -> i64 {
        Tokio::now_ms()
    }

    fn random() -> u128 {
        Tokio::random()
    }
}

/// openraft takes everything before a durable vote for durable.
#[tokio::test]
async fn f13_a_vote_does_not_overtake_the_entries_before_it() {
    let disk = FaultyDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut store = LogStore::<TardyAtFirst>::open(&shared, Path::new(DIR), 1).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    store.append([entry(0, 0)], IOFlushed::noop()).await.unwrap();
    store.save_vote(&Vote::new(1, 1)).await.unwrap();
    for seed in 0..16 {
        assert_eq!(log_ids(&mut open(&disk.crash(seed))).await, [log_id(0, 0)], "seed {seed}");
    }
}
