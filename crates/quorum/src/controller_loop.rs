//! The one writer of the metadata: takes requests, decides on the image that is applied, and proposes what it decided as one entry.
//!
//! While an entry is on its way to the disk, requests gather, and the next entry holds them all. A reply leaves when everything it was
//! based on is committed and applied, refusals included. An entry says in which term it was decided, so a deposed leader changes nothing.

use std::panic::{self, AssertUnwindSafe};

use dohle_metadata::controller::{Controller, ControllerReply, ControllerRequest, Soft};
use dohle_metadata::image::ClusterImage;
use dohle_metadata::record::MetadataRecord;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::OneshotResponder;
use openraft::{Raft, ReadPolicy};
use tokio::sync::{mpsc, oneshot};

use crate::facts::apply_all;
use crate::limits;
use crate::runtime::Runtime;
use crate::state_machine::{Observer, StateMachine};
use crate::submit_error::SubmitError;
use crate::type_config::{Applied, CommittedLeader, LeaderId, NodeId, Proposal, TypeConfig};

/// A request and where its reply goes.
pub(crate) struct Submission {
    pub(crate) request: ControllerRequest,
    pub(crate) reply: oneshot::Sender<Result<ControllerReply, SubmitError>>,
}

pub(crate) struct ControllerLoop<R: Runtime> {
    node_id: NodeId,
    controller: Controller,
    raft: Raft<TypeConfig<R>, StateMachine>,
    observer: Observer,
    requests: mpsc::Receiver<Submission>,
    /// Who is late and what was promised, as far as this node knows since it became the leader. Lost with the leadership.
    leading: Option<(LeaderId, Soft)>,
}

impl<R: Runtime> ControllerLoop<R> {
    pub(crate) fn new(
        node_id: NodeId,
        controller: Controller,
        raft: Raft<TypeConfig<R>, StateMachine>,
        observer: Observer,
        requests: mpsc::Receiver<Submission>,
    ) -> ControllerLoop<R> {
        ControllerLoop {
            node_id,
            controller,
            raft,
            observer,
            requests,
            leading: None,
        }
    }

    /// Ends when nobody can submit any more.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.requests.recv().await {
            let mut batch = vec![first];
            while batch.len() < limits::REQUESTS_PER_ENTRY_MAX
                && let Ok(next) = self.requests.try_recv()
            {
                batch.push(next);
            }
            self.serve(batch).await;
        }
    }

    async fn serve(&mut self, batch: Vec<Submission>) {
        let mut rest = batch.into_iter().peekable();
        while rest.peek().is_some() {
            let leader = match self.lead().await {
                Ok(leader) => leader,
                Err(error) => return rest.for_each(|submission| answer(submission.reply, Err(error.clone()))),
            };
            let (records, replies) = self.decide(&mut rest);
            let outcome = self.commit(leader, records).await;
            if outcome.is_err() {
                self.leading = None;
            }
            for (sender, reply) in replies {
                answer(sender, outcome.clone().map(|()| reply));
            }
        }
    }

    /// Makes sure that this node leads, and that the image holds everything that was committed before it did.
    async fn lead(&mut self) -> Result<LeaderId, SubmitError> {
        if let Err(fatal) = &self.raft.metrics().borrow_watched().running_state {
            return Err(fatal.into());
        }
        let leader = match self.raft.as_leader() {
            Ok(leader) => *leader.leader_id(),
            Err(other) => return Err(SubmitError::NotController { leader: other.leader_id }),
        };
        // In the term of an earlier run there is nothing to wait for: that is over when the quorum has started.
        if self.leading.as_ref().is_none_or(|(term, _)| *term != leader) {
            self.raft
                .ensure_linearizable(ReadPolicy::ReadIndex)
                .await
                .map_err(|error| match error {
                    RaftError::Fatal(fatal) => SubmitError::from(&fatal),
                    RaftError::APIError(_) => SubmitError::NotController { leader: None },
                })?;
            self.leading = Some((leader, Soft::default()));
        }
        Ok(leader)
    }

    /// Decides requests, each on top of what those before it will have changed, until there is enough for one entry.
    fn decide(&mut self, requests: &mut impl Iterator<Item = Submission>) -> (Vec<MetadataRecord>, Vec<Answer>) {
        let (_, soft) = self.leading.as_mut().expect("only a leader decides");
        let version = self.observer.publisher.current();
        soft.reached(version.offset);
        let mut image = ClusterImage::clone(&version.image);
        let (mut records, mut answers) = (Vec::new(), Vec::new());
        let mut bytes = 0;
        while bytes < limits::ENTRY_BYTES_ENOUGH
            && let Some(Submission { request, reply }) = requests.next()
        {
            let decide = || self.controller.decide(&image, soft, R::now_ms(), R::random(), request);
            // Whatever a client has found in the controller, the others go on.
            let Ok(decision) = panic::catch_unwind(AssertUnwindSafe(decide)) else {
                answer(reply, Err(SubmitError::Defect));
                continue;
            };
            let decided_bytes = encoded_len(&decision.records);
            if decided_bytes > limits::REQUEST_RECORD_BYTES_MAX {
                answer(reply, Err(SubmitError::TooLarge(decided_bytes)));
                continue;
            }
            if !apply_all(&mut image, &decision.records) {
                // As it was before this request.
                image = ClusterImage::clone(&version.image);
                records.iter().for_each(|record| image.apply(record));
                answer(reply, Err(SubmitError::Defect));
                continue;
            }
            bytes += decided_bytes;
            records.extend(decision.records);
            answers.push((reply, decision.reply));
        }
        (records, answers)
    }

    /// Returns when the records are committed and applied.
    async fn commit(&self, leader: LeaderId, records: Vec<MetadataRecord>) -> Result<(), SubmitError> {
        if records.is_empty() {
            return Ok(());
        }
        let proposal = Proposal {
            decided_term: leader.term,
            decided_by: self.node_id,
            records,
        };
        let (responder, committed) = OneshotResponder::new_pair();
        let write = self
            .raft
            .write(proposal)
            .with_leader(CommittedLeader::new(leader.term))
            .responder(responder);
        write.await.map_err(|fatal| SubmitError::from(&fatal))?;
        match committed.await {
            Ok(Ok(response)) if response.data == Applied::Done => {}
            Ok(Ok(_) | Err(ClientWriteError::ForwardToLeader(_) | ClientWriteError::PreconditionFailed(_))) => {
                return Err(SubmitError::NotController { leader: None });
            }
            Ok(Err(_)) => return Err(SubmitError::Unknown),
            // openraft has ended, and says why.
            Err(_) => {
                return Err(self
                    .raft
                    .with_raft_state(|_| ())
                    .await
                    .err()
                    .as_ref()
                    .map_or(SubmitError::Unknown, SubmitError::from));
            }
        }
        Ok(())
    }
}

fn encoded_len(records: &[MetadataRecord]) -> usize {
    // What cannot be encoded must not be proposed either.
    records
        .iter()
        .map(|record| record.encode().map_or(usize::MAX, |bytes| bytes.len()))
        .fold(0, usize::saturating_add)
}

/// Whom to tell what, once it is true.
type Answer = (oneshot::Sender<Result<ControllerReply, SubmitError>>, ControllerReply);

fn answer(sender: oneshot::Sender<Result<ControllerReply, SubmitError>>, reply: Result<ControllerReply, SubmitError>) {
    // Whoever asked may have gone.
    let _ = sender.send(reply);
}
