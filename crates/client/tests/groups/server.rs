//! Two nodes of one cluster with one topic, whose partitions hold ten records each, and one group, whose only real member is the client
//! under test. The test says when the group rebalances, who is assigned what, and what goes wrong; the server writes down what it is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dohle_protocol::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition};
use dohle_protocol::header::RequestHeader;
use dohle_protocol::messages::fetch::FetchRequest;
use dohle_protocol::wire::{Decoder, Rope};
use dohle_protocol::{ApiKey, ErrorCode, Message, Request, frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::answers;

pub(crate) const TOPIC: &str = "t";
pub(crate) const RECORDS: i64 = 10;
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    ports: [u16; 2],
    state: watch::Sender<State>,
}

/// What the test has decided, and what has happened.
#[derive(Default, Clone)]
pub(crate) struct State {
    pub(crate) ports: [u16; 2],
    pub(crate) partitions: i32,
    /// Node 1 or 2.
    pub(crate) coordinator: i32,
    /// The client is the leader, and assigns itself its partitions.
    pub(crate) leads: bool,
    /// What the leader assigns to the client, if that is somebody else.
    pub(crate) assigned: Vec<i32>,
    /// Instead of success.
    pub(crate) heartbeat: Option<ErrorCode>,
    pub(crate) join: Option<ErrorCode>,
    /// JoinGroup is not answered while this is set.
    pub(crate) parks_joins: bool,
    /// Connections of earlier times are closed.
    pub(crate) era: u32,
    /// Open now, to either node.
    pub(crate) connections: usize,
    pub(crate) generation: i32,
    pub(crate) members_made: i32,
    pub(crate) committed: BTreeMap<i32, i64>,
    pub(crate) events: Vec<String>,
}

impl Server {
    pub(crate) async fn start(partitions: i32, assigned: &[i32]) -> Server {
        let listeners = [
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
            TcpListener::bind("127.0.0.1:0").await.unwrap(),
        ];
        let ports = [&listeners[0], &listeners[1]].map(|listener| listener.local_addr().unwrap().port());
        let state = watch::Sender::new(State {
            ports,
            partitions,
            coordinator: 1,
            assigned: assigned.to_vec(),
            ..State::default()
        });
        for (listener, node) in listeners.into_iter().zip(1..) {
            let state = state.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (state, mut eras) = (state.clone(), state.subscribe());
                    let era = eras.borrow().era;
                    state.send_modify(|state| state.connections += 1);
                    tokio::spawn(async move {
                        tokio::select! {
                            () = serve(stream, node, state.clone()) => {}
                            _ = eras.wait_for(|state| state.era != era) => {}
                        }
                        state.send_modify(|state| state.connections -= 1);
                    });
                }
            });
        }
        Server { ports, state }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// The next heartbeat tells the client to join again; then it gets these.
    pub(crate) fn rebalance(&self, assigned: &[i32]) {
        self.change(|state| {
            state.assigned = assigned.to_vec();
            state.heartbeat = Some(ErrorCode::RebalanceInProgress);
        });
    }

    pub(crate) fn committed(&self) -> BTreeMap<i32, i64> {
        self.state.borrow().committed.clone()
    }

    /// What the group was asked, without the heartbeats and lookups.
    pub(crate) fn events(&self) -> Vec<String> {
        self.state.borrow().events.clone()
    }

    pub(crate) async fn wait_for(&self, event: &str) {
        self.wait_until(event, |state| state.events.iter().any(|known| known.starts_with(event)))
            .await;
    }

    pub(crate) async fn wait_until(&self, what: &str, holds: impl FnMut(&State) -> bool) {
        let mut states = self.state.subscribe();
        let waited = tokio::time::timeout(PATIENCE, states.wait_for(holds))
            .await
            .map(|held| held.is_ok());
        assert_eq!(waited, Ok(true), "{what} did not happen; but these: {:#?}", self.events());
    }
}

async fn serve(mut stream: TcpStream, node: i32, state: watch::Sender<State>) {
    while let Ok(length) = stream.read_i32().await {
        let mut bytes = vec![0; length as usize];
        if stream.read_exact(&mut bytes).await.is_err() {
            return;
        }
        let mut decoder = Decoder::new(Bytes::from(bytes));
        let (api, header) = RequestHeader::read(&mut decoder).unwrap();
        if let ApiKey::JoinGroup = api {
            let _ = state.subscribe().wait_for(|state| !state.parks_joins).await;
        }
        let body = decoder.rest().unwrap();
        if let ApiKey::Fetch = api {
            wait_for_records(body.clone(), header.request_api_version, &state).await;
        }
        let mut answer = None;
        let asked = Asked { api, header, body, node };
        state.send_modify(|state| answer = Some(answers::answer(&asked, state)));
        let answer: Rope = answer.expect("just made");
        if stream.write_all(&answer.to_bytes()).await.is_err() {
            return;
        }
    }
}

/// A fetch from the end waits, as it does at a broker.
async fn wait_for_records(body: Bytes, version: i16, state: &watch::Sender<State>) {
    let request = FetchRequest::decode(&mut Decoder::new(body), version).unwrap();
    let mut partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    if partitions.all(|partition| partition.fetch_offset >= RECORDS) {
        let era = state.borrow().era;
        let hung_up = async { state.subscribe().wait_for(|state| state.era != era).await.is_ok() };
        let _ = tokio::time::timeout(Duration::from_millis(request.max_wait_ms as u64), hung_up).await;
    }
}

/// How owned or assigned partitions are written down: `0,2`.
pub(crate) fn listed(topics: &[TopicPartition]) -> String {
    let mut partitions: Vec<i32> = topics.iter().flat_map(|topic| topic.partitions.clone()).collect();
    partitions.sort_unstable();
    let words: Vec<String> = partitions.iter().map(ToString::to_string).collect();
    words.join(",")
}

pub(crate) fn owned_in(metadata: &Bytes) -> String {
    listed(&ConsumerProtocolSubscription::decode(metadata.clone()).unwrap().owned_partitions)
}

pub(crate) fn assignment(partitions: &[i32]) -> Bytes {
    let topic = TopicPartition {
        topic: TOPIC.to_owned(),
        partitions: partitions.to_vec(),
    };
    let assignment = ConsumerProtocolAssignment {
        assigned_partitions: vec![topic],
        user_data: None,
    };
    assignment.encode(1)
}

/// One request, and the node that it reached.
pub(crate) struct Asked {
    pub(crate) api: ApiKey,
    header: RequestHeader,
    body: Bytes,
    pub(crate) node: i32,
}

impl Asked {
    pub(crate) fn read<R: Request>(&self) -> R {
        R::decode(&mut Decoder::new(self.body.clone()), self.header.request_api_version).unwrap()
    }

    pub(crate) fn answer(&self, response: &impl Message) -> Rope {
        frame::response(self.api, self.header.request_api_version, self.header.correlation_id, response).unwrap()
    }
}
