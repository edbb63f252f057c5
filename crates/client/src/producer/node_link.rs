//! One task per node: writes requests in order and reports what became of each. Dialling one node does not hold up another.

use std::sync::Arc;
use std::time::Duration;

use dohle_protocol::ApiKey;
use dohle_protocol::messages::produce::{ProduceRequest, ProduceResponse};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::batch::Batch;
use crate::cluster::Cluster;
use crate::cluster_metadata::TopicPartition;
use crate::config::Acks;
use crate::connection::Reply;
use crate::error::ClientError;

/// From this version on topics are named by their id.
const TOPIC_IDS_SINCE: i16 = 13;

/// A request on its way to one node.
pub(super) struct Shipment {
    pub(super) request: ProduceRequest,
    pub(super) batches: Vec<(TopicPartition, Batch)>,
}

/// What became of a shipment; no answer where none was asked for.
pub(super) struct Outcome {
    pub(super) node: i32,
    pub(super) batches: Vec<(TopicPartition, Batch)>,
    pub(super) answer: Result<Option<ProduceResponse>, ClientError>,
}

/// The sender's end of the task.
pub(super) struct NodeLink {
    shipments: mpsc::UnboundedSender<Shipment>,
    pub(super) in_flight: usize,
}

impl NodeLink {
    pub(super) fn start(cluster: Arc<Cluster>, node: i32, acks: Acks, outcomes: mpsc::UnboundedSender<Outcome>) -> NodeLink {
        // Unbounded in type only: the sender keeps `in_flight` below `max.in.flight.requests.per.connection`.
        let (shipments, queue) = mpsc::unbounded_channel();
        let task = NodeTask {
            cluster,
            node,
            acks,
            outcomes,
        };
        tokio::spawn(task.run(queue));
        NodeLink { shipments, in_flight: 0 }
    }

    pub(super) fn send(&mut self, shipment: Shipment) {
        self.in_flight += 1;
        // The task ends only after this half is dropped.
        let _ = self.shipments.send(shipment);
    }
}

struct NodeTask {
    cluster: Arc<Cluster>,
    node: i32,
    acks: Acks,
    outcomes: mpsc::UnboundedSender<Outcome>,
}

impl NodeTask {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<Shipment>) {
        let mut replies = FuturesUnordered::new();
        loop {
            tokio::select! {
                shipment = queue.recv() => {
                    let Some(Shipment { request, batches }) = shipment else { return };
                    match self.ship(&request).await {
                        Ok(Some(reply)) => replies.push(async { (batches, reply.wait().await) }),
                        Ok(None) => self.report(batches, Ok(None)),
                        Err(error) => self.report(batches, Err(error)),
                    }
                }
                Some((batches, answer)) = replies.next() => self.report(batches, answer.map(Some)),
            }
        }
    }

    async fn ship(&self, request: &ProduceRequest) -> Result<Option<Reply<ProduceRequest>>, ClientError> {
        let connection = self.cluster.node(self.node).await?;
        let newest = connection.version_of(ApiKey::Produce)?;
        let has_ids = request.topic_data.iter().all(|topic| !topic.topic_id.is_nil());
        let version = if has_ids { newest } else { newest.min(TOPIC_IDS_SINCE - 1) };
        if self.acks == Acks::None {
            return connection.send_unanswered(request, version).await.map(|()| None);
        }
        connection
            .start(request, version, self.cluster.config().request_timeout)
            .await
            .map(Some)
    }

    fn report(&self, batches: Vec<(TopicPartition, Batch)>, answer: Result<Option<ProduceResponse>, ClientError>) {
        // Nobody listens once the producer is gone.
        let _ = self.outcomes.send(Outcome {
            node: self.node,
            batches,
            answer,
        });
    }
}

/// How long a server may take to gather acknowledgements.
pub(super) fn ack_timeout_ms(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}
