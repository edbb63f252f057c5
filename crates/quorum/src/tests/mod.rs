//! Tests of the stores and of whole quorums, on real and on failing disks.

mod cluster;
mod conformance;
mod cut_disk;
mod forged;
mod membership;
mod network;
mod observers;
mod power_cut;
mod restart;
mod service;
mod snapshots;

use std::io;
use std::path::Path;
use std::sync::Arc;

use dohle_storage::{Disk, FaultyDisk, RealDisk};
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::{EntryPayload, RaftLogReader};

use crate::log_store::LogStore;
use crate::quorum::{Member, Quorum};
use crate::runtime::Tokio;
use crate::type_config::{Entry, LogId, Proposal, TypeConfig, Vote, log_id};
use crate::voter::Voter;

const DIR: &str = "data/__cluster_metadata-0";

fn open(disk: &FaultyDisk) -> LogStore<Tokio> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    LogStore::open(&disk, Path::new(DIR), 1).unwrap()
}

fn entry(term: u64, index: u64) -> Entry {
    let proposal = Proposal {
        decided_term: term,
        decided_by: 1,
        records: vec![],
    };
    Entry::new(log_id(term, index), EntryPayload::Normal(proposal))
}

/// Returns when openraft would be told that the entries are on disk.
async fn append(store: &mut LogStore<Tokio>, entries: &[Entry]) -> io::Result<()> {
    let (flushed, outcome) = TypeConfig::<Tokio>::oneshot();
    store.append(entries.to_vec(), IOFlushed::signal(flushed)).await?;
    outcome.await.map_err(io::Error::other)?
}

async fn log_ids(store: &mut LogStore<Tokio>) -> Vec<LogId> {
    store
        .try_get_log_entries(..)
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.log_id)
        .collect()
}

fn voter(quorum: &Quorum) -> &Voter<Tokio> {
    match &quorum.member {
        Member::Voter(voter) => voter,
        Member::Observer(_) => panic!("an observer"),
    }
}
