//! Commits offsets, one request after the other: an older position never overwrites a newer one.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::coordinator::Coordinator;
use super::membership::Identity;
use crate::consumer::offsets::Offsets;
use crate::error::ClientError;
use crate::limits::COMMITS_QUEUED_MAX;

/// The newest version that names topics instead of identifying them.
const VERSION_MAX: i16 = 9;

pub(in crate::consumer) struct Committer {
    queue: mpsc::Sender<Job>,
}

/// What is to be committed, and as whom: whoever owned the partitions when it was asked for.
pub(in crate::consumer) struct Commit {
    pub(in crate::consumer) offsets: Offsets,
    pub(in crate::consumer) identity: Identity,
    /// How long what may succeed later is tried again.
    pub(in crate::consumer) patience: Duration,
}

struct Job {
    commit: Commit,
    deadline: Instant,
    done: oneshot::Sender<Result<(), ClientError>>,
}

/// A commit that was started. It goes on if this is dropped.
#[must_use = "whether it succeeds is told here alone"]
pub struct PendingCommit {
    receiver: oneshot::Receiver<Result<(), ClientError>>,
    outcome: Option<Result<(), ClientError>>,
}

impl PendingCommit {
    /// Waits for the answer of the coordinator.
    pub async fn wait(mut self) -> Result<(), ClientError> {
        self.done().await;
        self.outcome.expect("it is done")
    }

    /// May be cancelled, and called again.
    pub(in crate::consumer) async fn done(&mut self) {
        if self.outcome.is_none() {
            let ended = ClientError::Incomplete("the consumer was closed before the offsets were committed".to_owned());
            self.outcome = Some((&mut self.receiver).await.unwrap_or(Err(ended)));
        }
    }

    /// The answer, if there is one yet.
    pub fn outcome(&mut self) -> Option<Result<(), ClientError>> {
        if let (None, Ok(outcome)) = (&self.outcome, self.receiver.try_recv()) {
            self.outcome = Some(outcome);
        }
        self.outcome.clone()
    }
}

impl Committer {
    pub(super) fn start(coordinator: Arc<Coordinator>) -> Committer {
        let (queue, mut jobs) = mpsc::channel::<Job>(COMMITS_QUEUED_MAX);
        tokio::spawn(async move {
            while let Some(job) = jobs.recv().await {
                // Nobody may want to know.
                let _ = job.done.send(commit(&coordinator, &job.commit, job.deadline).await);
            }
        });
        Committer { queue }
    }

    pub(in crate::consumer) fn commit(&self, commit: Commit) -> PendingCommit {
        let (done, receiver) = oneshot::channel();
        let deadline = Instant::now() + commit.patience;
        let job = Job { commit, deadline, done };
        let refused = self.queue.try_send(job).is_err();
        let outcome = refused.then(|| Err(ClientError::Incomplete(format!("{COMMITS_QUEUED_MAX} commits are waiting already"))));
        PendingCommit { receiver, outcome }
    }
}

async fn commit(coordinator: &Coordinator, commit: &Commit, deadline: Instant) -> Result<(), ClientError> {
    if commit.offsets.is_empty() {
        return Ok(());
    }
    let backoff = coordinator.cluster().config().backoff();
    let mut failures = 0;
    loop {
        let Err(error) = commit_once(coordinator, commit).await else {
            return Ok(());
        };
        failures += 1;
        let wait = backoff.after(failures);
        if !error.is_retriable() || Instant::now() + wait >= deadline {
            return Err(error);
        }
        tracing::debug!("offsets are not committed yet: {error}");
        tokio::time::sleep(wait).await;
    }
}

async fn commit_once(coordinator: &Coordinator, commit: &Commit) -> Result<(), ClientError> {
    let reached = coordinator.reach().await?;
    let attempt = async {
        let request = request(coordinator.group_id(), commit);
        first_error(&reached.connection.call_up_to(&request, VERSION_MAX).await?)
    };
    let outcome = attempt.await.inspect_err(|error| coordinator.heed(reached.node, error));
    coordinator.give_back(reached);
    outcome
}

fn request(group_id: &str, commit: &Commit) -> OffsetCommitRequest {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for (tp, committed) in &commit.offsets {
        let partition = OffsetCommitRequestPartition {
            partition_index: tp.partition,
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch,
            committed_metadata: Some(committed.metadata.clone()),
            ..Default::default()
        };
        match topics.last_mut().filter(|topic| *topic.name == *tp.topic) {
            Some(topic) => topic.partitions.push(partition),
            None => topics.push(OffsetCommitRequestTopic {
                name: tp.topic.to_string(),
                partitions: vec![partition],
                ..Default::default()
            }),
        }
    }
    OffsetCommitRequest {
        group_id: group_id.to_owned(),
        generation_id_or_member_epoch: commit.identity.generation,
        member_id: commit.identity.member_id.clone(),
        group_instance_id: commit.identity.instance_id.clone(),
        topics,
        ..Default::default()
    }
}

/// One that will not go away is told before one that may.
fn first_error(response: &OffsetCommitResponse) -> Result<(), ClientError> {
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    let errors = partitions.filter(|partition| partition.error_code != ErrorCode::None.code());
    let worst = errors.min_by_key(|partition| ErrorCode::from_code(partition.error_code).is_retriable());
    worst.map_or(Ok(()), |partition| ClientError::check(partition.error_code, None))
}
