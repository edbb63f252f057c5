//! Follows other brokers: one task for each that leads partitions here asks it for more, with one question at a time about all of them.
//!
//! What the logs do with the answers is in `cell/following.rs`, and why in docs/replication.md.

mod request;
mod session;
mod throttle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use dohle_client::{ClientConfig, ClientError, Connection};
use dohle_protocol::ErrorCode;
use dohle_protocol::id::{BrokerId, Offset, PartitionIndex, TopicId};
use dohle_protocol::messages::fetch::FetchResponse;
use dohle_replication::{FetchAnswer, FetchPosition};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::cluster::endpoints;
use crate::limits;
use crate::replica::cell::{Cell, FollowStep, NextFetch};
use crate::replica::followed::LeaderQueue;
use crate::state::BrokerState;

use session::{Answer, Session};
use throttle::Throttle;

/// Follows whoever leads, until `stop`.
pub(crate) async fn run(broker: Arc<BrokerState>, stop: CancellationToken) {
    let mut fetchers = JoinSet::new();
    let mut leaders = HashMap::new();
    let throttle = Arc::new(Throttle::default());
    loop {
        for (leader, queue) in broker.services.followed.take_new() {
            let fetcher = Fetcher::new(&broker, leader, queue, &throttle);
            let stop = stop.clone();
            let task = fetchers.spawn(async move { stop.run_until_cancelled(fetcher.work()).await });
            leaders.insert(task.id(), leader);
        }
        tokio::select! {
            () = stop.cancelled() => break,
            () = broker.services.followed.leader_added() => {}
            Some(Err(error)) = fetchers.join_next() => {
                tracing::error!(%error, "a leader is not followed any more; another attempt is made");
                tokio::time::sleep(limits::REPLICA_FAILURE_PAUSE).await;
                if let Some(leader) = leaders.remove(&error.id()) {
                    follow_again(&broker, leader);
                }
            }
        }
    }
    while fetchers.join_next().await.is_some() {}
}

/// A fetcher has ended by a bug, and nobody knows what it still had to ask.
fn follow_again(broker: &BrokerState, leader: BrokerId) {
    broker.services.followed.forget(leader);
    for topic in broker.replicas.topics() {
        topic.cells().for_each(|cell| cell.follow_again(leader));
    }
}

type Key = (TopicId, PartitionIndex);

/// What is asked about one partition.
struct Question {
    cell: Arc<Cell>,
    position: FetchPosition,
    log_start: Offset,
}

struct Fetcher {
    broker: Arc<BrokerState>,
    leader: BrokerId,
    queue: Arc<LeaderQueue>,
    throttle: Arc<Throttle>,
    client: ClientConfig,
    connection: Option<Connection>,
    session: Session,
    /// To be asked about next.
    ready: BTreeMap<Key, Arc<Cell>>,
    /// To be asked about later.
    paused: Vec<(Instant, Arc<Cell>)>,
    /// What has come is being synced. It is worth waiting for these: a question about the others may take a while.
    syncing: BTreeSet<Key>,
    syncing_until: Instant,
    /// Questions so far: another partition comes first each time, and gets its records however large they are.
    turn: usize,
    /// The leader cannot be reached, and that has been said.
    is_unreachable: bool,
}

impl Fetcher {
    fn new(broker: &Arc<BrokerState>, leader: BrokerId, queue: Arc<LeaderQueue>, throttle: &Arc<Throttle>) -> Fetcher {
        Fetcher {
            broker: Arc::clone(broker),
            leader,
            queue,
            throttle: Arc::clone(throttle),
            client: request::client_config(broker),
            connection: None,
            session: Session::default(),
            ready: BTreeMap::new(),
            paused: Vec::new(),
            syncing: BTreeSet::new(),
            syncing_until: Instant::now(),
            turn: 0,
            is_unreachable: false,
        }
    }

    async fn work(mut self) {
        loop {
            self.gather().await;
            let questions = self.questions();
            if questions.is_empty() {
                continue;
            }
            let queue = Arc::clone(&self.queue);
            let answer = tokio::select! {
                answer = self.ask(&questions) => answer,
                // A partition is to be followed from now on. The leader would answer what it was asked before first.
                () = queue.urgent() => {
                    self.hang_up();
                    self.ready.extend(questions.into_iter().map(|question| (key(&question.cell), question.cell)));
                    // A broker that dies leaves many partitions to the next leader.
                    tokio::time::sleep(limits::REPLICA_GATHER_PAUSE).await;
                    continue;
                }
            };
            match answer {
                Ok(response) => self.take_in(questions, response).await,
                Err(reason) => self.give_up(questions, &reason),
            }
        }
    }

    /// Returns when there is something to ask, and nothing that it would be worth waiting for.
    async fn gather(&mut self) {
        loop {
            for cell in self.queue.take() {
                self.syncing.remove(&key(&cell));
                self.ready.insert(key(&cell), cell);
            }
            let now = Instant::now();
            for (_, cell) in self.paused.extract_if(.., |(due, _)| *due <= now) {
                self.ready.insert(key(&cell), cell);
            }
            if now >= self.syncing_until {
                self.syncing.clear();
            }
            if !self.ready.is_empty() && self.syncing.is_empty() {
                return;
            }
            let syncing_until = Some(self.syncing_until).filter(|_| !self.syncing.is_empty());
            let next = self.next_due().into_iter().chain(syncing_until).min();
            tokio::select! {
                () = self.queue.added() => {}
                () = tokio::time::sleep_until(next.unwrap_or(now)), if next.is_some() => {}
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.paused.iter().map(|(due, _)| *due).min()
    }

    fn questions(&mut self) -> Vec<Question> {
        let mut questions = Vec::new();
        for cell in std::mem::take(&mut self.ready).into_values() {
            match cell.next_fetch(self.leader) {
                NextFetch::Ask { position, log_start } => questions.push(Question { cell, position, log_start }),
                NextFetch::NotYet | NextFetch::Nothing => {}
            }
        }
        self.turn += 1;
        if !questions.is_empty() {
            let first = self.turn % questions.len();
            questions.rotate_left(first);
        }
        questions
    }

    async fn connect(&mut self) -> Result<&Connection, ClientError> {
        if self.connection.as_ref().is_none_or(Connection::is_closed) {
            let (image, config) = (self.broker.quorum.image(), &self.broker.config);
            let address = endpoints::inter_broker(&image, config, self.leader)
                .ok_or_else(|| ClientError::Incomplete("it has not said where it is".to_owned()))?;
            self.connection = Some(Connection::open(&address, &self.client).await?);
            self.broker.suspicion.is_alive(self.leader);
        }
        Ok(self.connection.as_ref().expect("it was made just now"))
    }

    async fn ask(&mut self, questions: &[Question]) -> Result<FetchResponse, ClientError> {
        let wait_max = match self.next_due() {
            Some(due) => due.duration_since(Instant::now()).min(limits::REPLICA_FETCH_WAIT_MAX),
            None => limits::REPLICA_FETCH_WAIT_MAX,
        };
        loop {
            let request = request::fetch(&self.broker, self.session.ask(questions), wait_max);
            let response = self.connect().await?.call_up_to(&request, request::FETCH_VERSION).await?;
            match ErrorCode::from_code(response.error_code) {
                // The leader has been started anew, or has had no room for the session.
                ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch if request.session_epoch != 0 => {
                    self.session.forget();
                }
                ErrorCode::None => return Ok(response),
                code => return Err(ClientError::refused(code.code(), None)),
            }
        }
    }

    /// What is on its way will not be answered, or nobody will listen.
    fn hang_up(&mut self) {
        self.connection = None;
        self.session.forget();
    }

    async fn take_in(&mut self, questions: Vec<Question>, response: FetchResponse) {
        if std::mem::take(&mut self.is_unreachable) {
            tracing::info!("broker {} can be followed again", self.leader);
        }
        let now = Instant::now();
        let mut answers = self.session.answered(response);
        let (mut cut, mut out_of_range) = (Vec::new(), Vec::new());
        for question in questions {
            match self.session.take(&mut answers, &question.cell) {
                Answer::Decided(answer, records) => cut.extend(self.act(question, answer, records, now)),
                Answer::OutOfRange => out_of_range.push(question),
            }
        }
        // Last: more has to be asked, and nobody else should wait for that.
        for question in out_of_range {
            let answer = self.bounds(&question).await;
            cut.extend(self.act(question, answer, Bytes::new(), now));
        }
        if !cut.is_empty() {
            self.end_cuts(cut).await;
        }
    }

    /// Does what an answer says. Returns the partition if its log was cut.
    fn act(&mut self, question: Question, answer: FetchAnswer, records: Bytes, now: Instant) -> Option<Arc<Cell>> {
        let cell = question.cell;
        let slowed_down = self.slowed_down_until(&cell, records.len(), now);
        match (cell.on_fetch_answer(question.position.token, answer, records, now), slowed_down) {
            (FollowStep::Cut, _) => return Some(cell),
            (FollowStep::GoOn, Some(due)) => self.paused.push((due, cell)),
            (step, _) => self.go_on(cell, step, now),
        }
        None
    }

    /// When the partition may be asked about again, if an operator wants it to take its time.
    fn slowed_down_until(&self, cell: &Cell, bytes: usize, now: Instant) -> Option<Instant> {
        let bytes_per_second = self.broker.settings.load().follower_bytes_per_second_max.filter(|_| bytes > 0)?;
        let is_named = throttle::names(&self.broker.quorum.image(), cell, self.broker.services.me);
        is_named.then(|| self.throttle.count(bytes, bytes_per_second, now))
    }

    /// The leader's log does not hold what was asked for. What does it hold?
    async fn bounds(&mut self, question: &Question) -> FetchAnswer {
        let me = self.broker.services.me;
        let Ok(connection) = self.connect().await else {
            return FetchAnswer::Failed;
        };
        let start = request::offset_at(connection, me, question, request::EARLIEST).await;
        let end = request::offset_at(connection, me, question, request::LATEST).await;
        match (start, end) {
            (Some(log_start), Some(log_end)) => FetchAnswer::OutOfRange { log_start, log_end },
            _ => FetchAnswer::Failed,
        }
    }

    async fn end_cuts(&mut self, cells: Vec<Arc<Cell>>) {
        let broker = Arc::clone(&self.broker);
        let corrected = tokio::task::spawn_blocking(move || broker.replicas.correct_checkpoints()).await;
        if let Err(error) = corrected {
            tracing::error!(%error, "checkpoints could not be corrected");
        }
        let now = Instant::now();
        for cell in cells {
            let step = cell.end_cut(self.leader);
            self.go_on(cell, step, now);
        }
    }

    fn go_on(&mut self, cell: Arc<Cell>, step: FollowStep, now: Instant) {
        match step {
            FollowStep::GoOn => {
                self.ready.insert(key(&cell), cell);
            }
            FollowStep::Wait => {
                if self.syncing.is_empty() {
                    self.syncing_until = now + limits::REPLICA_SYNC_WAIT_MAX;
                }
                self.syncing.insert(key(&cell));
            }
            FollowStep::Pause => self.paused.push((now + limits::REPLICA_FETCH_PAUSE, cell)),
            FollowStep::Rest => self.paused.push((now + limits::REPLICA_FAILURE_PAUSE, cell)),
            FollowStep::Cut | FollowStep::Leave => {}
        }
    }

    fn give_up(&mut self, questions: Vec<Question>, reason: &ClientError) {
        self.hang_up();
        if !std::mem::replace(&mut self.is_unreachable, true) {
            tracing::warn!("broker {} cannot be followed: {reason}", self.leader);
            self.broker.suspicion.may_be_gone(self.leader);
        }
        let now = Instant::now();
        for question in questions {
            let step = question
                .cell
                .on_fetch_answer(question.position.token, FetchAnswer::Failed, Bytes::new(), now);
            self.go_on(question.cell, step, now);
        }
    }
}

fn key(cell: &Cell) -> Key {
    (cell.topic_id, cell.partition)
}
