//! Which APIs are served in which versions, and who answers them.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::header::{HeaderError, RequestHeader};
use dohle_protocol::id::BrokerId;
use dohle_protocol::wire::{DecodeError, Decoder};
use dohle_protocol::{ApiKey, Message, Request, frame, messages};
use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::config::Listener;
use crate::handlers;
use crate::state::BrokerState;

/// What a handler may know about the connection that a request came by.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) listener: Arc<Listener>,
    /// The address that the client dialled.
    pub(crate) local_addr: SocketAddr,
    pub(crate) peer_addr: SocketAddr,
    /// The broker, with its epoch, that sends its heartbeats by this connection.
    pub(crate) heard_of: Mutex<Option<(BrokerId, i64)>>,
}

/// What a handler may know about a request besides its body.
#[derive(Debug)]
pub(crate) struct RequestContext {
    pub(crate) connection: Arc<ConnectionInfo>,
    pub(crate) client_id: Option<String>,
    pub(crate) api_version: i16,
    /// When the request was there.
    pub(crate) begun: Instant,
    /// Of the whole request.
    pub(crate) request_bytes: usize,
}

/// What a handler returns; most simply return the response, which is then sent.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Send {
        response: T,
        /// Memory that the response takes from a budget until it is written.
        held: Option<OwnedSemaphorePermit>,
    },
    /// `acks=0`: not a single byte.
    Silence,
    /// There is an error and no way to say so in the protocol: the connection is closed for this reason.
    Close(String),
}

impl<T> From<T> for Answer<T> {
    fn from(response: T) -> Answer<T> {
        Answer::Send { response, held: None }
    }
}

/// An [`Answer`] as bytes, length included.
#[derive(Debug)]
pub(crate) enum Reply {
    Send {
        pieces: Vec<Bytes>,
        held: Option<OwnedSemaphorePermit>,
    },
    Silence,
    Close(String),
}

impl Reply {
    pub(crate) fn len(&self) -> usize {
        match self {
            Reply::Send { pieces, .. } => pieces.iter().map(Bytes::len).sum(),
            Reply::Silence | Reply::Close(_) => 0,
        }
    }
}

pub(crate) type ReplyFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// A request that is not understood. The protocol has no answer for that: the connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RefusedRequest {
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error("version {version} of {api} is not served")]
    Version { api: ApiKey, version: i16 },
    #[error("malformed {api} request of version {version}: {reason}")]
    Body { api: ApiKey, version: i16, reason: DecodeError },
}

/// One API that is served, in all the versions that the protocol crate knows.
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    /// Decodes the body, and returns the work that answers it.
    begin: fn(Arc<BrokerState>, RequestContext, i32, Decoder) -> Result<ReplyFuture, DecodeError>,
}

macro_rules! apis {
    ($($api:ident($request:ident),)*) => {
        &[$(Api {
            key: messages::$api::$request::KEY,
            begin: |broker, ctx, correlation_id, mut decoder| {
                let request = messages::$api::$request::decode(&mut decoder, ctx.api_version)?;
                // From here on the records are all that holds the memory of the request.
                drop(decoder);
                Ok(Box::pin(async move {
                    let answer = handlers::$api::handle(&broker, &ctx, request).await;
                    reply_with::<messages::$api::$request>(answer.into(), ctx.api_version, correlation_id)
                }))
            },
        }),*]
    };
}

/// Everything that is served to clients. The answer to ApiVersions is derived from it. A request is looked up from the front: the frequent come
/// first.
pub(crate) static APIS: &[Api] = apis! {
    produce(ProduceRequest),
    fetch(FetchRequest),
    list_offsets(ListOffsetsRequest),
    metadata(MetadataRequest),
    api_versions(ApiVersionsRequest),
    heartbeat(HeartbeatRequest),
    offset_commit(OffsetCommitRequest),
    offset_fetch(OffsetFetchRequest),
    find_coordinator(FindCoordinatorRequest),
    join_group(JoinGroupRequest),
    sync_group(SyncGroupRequest),
    leave_group(LeaveGroupRequest),
    create_topics(CreateTopicsRequest),
    delete_topics(DeleteTopicsRequest),
    delete_records(DeleteRecordsRequest),
    init_producer_id(InitProducerIdRequest),
    offset_for_leader_epoch(OffsetForLeaderEpochRequest),
    describe_configs(DescribeConfigsRequest),
    alter_configs(AlterConfigsRequest),
    describe_log_dirs(DescribeLogDirsRequest),
    create_partitions(CreatePartitionsRequest),
    incremental_alter_configs(IncrementalAlterConfigsRequest),
    describe_quorum(DescribeQuorumRequest),
    describe_cluster(DescribeClusterRequest),
    describe_producers(DescribeProducersRequest),
    list_config_resources(ListConfigResourcesRequest),
    describe_topic_partitions(DescribeTopicPartitionsRequest),
    elect_leaders(ElectLeadersRequest),
    alter_partition_reassignments(AlterPartitionReassignmentsRequest),
    list_partition_reassignments(ListPartitionReassignmentsRequest),
    update_features(UpdateFeaturesRequest),
    unregister_broker(UnregisterBrokerRequest),
    add_raft_voter(AddRaftVoterRequest),
    remove_raft_voter(RemoveRaftVoterRequest),
    describe_groups(DescribeGroupsRequest),
    list_groups(ListGroupsRequest),
    delete_groups(DeleteGroupsRequest),
    offset_delete(OffsetDeleteRequest),
};

/// Everything that is served on a listener of the controller: to other nodes, and to tools that ask controllers.
pub(crate) static CONTROLLER_APIS: &[Api] = apis! {
    peer_rpc(PeerRpcRequest),
    broker_heartbeat(BrokerHeartbeatRequest),
    forward_to_controller(ForwardToControllerRequest),
    alter_partition(AlterPartitionRequest),
    api_versions(ApiVersionsRequest),
    create_topics(CreateTopicsRequest),
    delete_topics(DeleteTopicsRequest),
    describe_configs(DescribeConfigsRequest),
    alter_configs(AlterConfigsRequest),
    create_partitions(CreatePartitionsRequest),
    elect_leaders(ElectLeadersRequest),
    incremental_alter_configs(IncrementalAlterConfigsRequest),
    alter_partition_reassignments(AlterPartitionReassignmentsRequest),
    list_partition_reassignments(ListPartitionReassignmentsRequest),
    describe_quorum(DescribeQuorumRequest),
    update_features(UpdateFeaturesRequest),
    describe_cluster(DescribeClusterRequest),
    broker_registration(BrokerRegistrationRequest),
    unregister_broker(UnregisterBrokerRequest),
    allocate_producer_ids(AllocateProducerIdsRequest),
    add_raft_voter(AddRaftVoterRequest),
    remove_raft_voter(RemoveRaftVoterRequest),
};

/// What a listener serves.
pub(crate) fn served_by(listener: &Listener) -> &'static [Api] {
    if listener.is_controller { CONTROLLER_APIS } else { APIS }
}

/// Finds out what a request asks for, and returns the work that answers it. Nothing has been done for it before the first poll.
pub(crate) fn begin(
    broker: &Arc<BrokerState>,
    connection: &Arc<ConnectionInfo>,
    request: Bytes,
    begun: Instant,
) -> Result<(ApiKey, ReplyFuture), RefusedRequest> {
    let request_bytes = request.len();
    let mut decoder = Decoder::new(request);
    let (key, header) = RequestHeader::read(&mut decoder)?;
    let version = header.request_api_version;
    let ctx = RequestContext {
        connection: Arc::clone(connection),
        client_id: header.client_id,
        api_version: version,
        begun,
        request_bytes,
    };
    let served = served_by(&connection.listener);
    let Some(api) = served.iter().find(|api| api.key == key && key.valid_versions().contains(&version)) else {
        if key == ApiKey::ApiVersions {
            let answer = handlers::api_versions::unsupported_version().into();
            let reply = reply_with::<messages::api_versions::ApiVersionsRequest>(answer, 0, header.correlation_id);
            return Ok((key, Box::pin(std::future::ready(reply))));
        }
        return Err(RefusedRequest::Version { api: key, version });
    };
    let future = (api.begin)(Arc::clone(broker), ctx, header.correlation_id, decoder);
    Ok((key, future.map_err(|reason| RefusedRequest::Body { api: key, version, reason })?))
}

fn reply_with<R: Request>(answer: Answer<R::Response>, version: i16, correlation_id: i32) -> Reply {
    match answer {
        Answer::Send { response, held } => match frame::response(R::KEY, version, correlation_id, &response) {
            Ok(rope) => Reply::Send { pieces: rope.chunks, held },
            Err(error) => Reply::Close(format!("the answer to {} cannot be written in version {version}: {error}", R::KEY)),
        },
        Answer::Silence => Reply::Silence,
        Answer::Close(reason) => Reply::Close(reason),
    }
}
