//! PeerRpc: what another member of the metadata quorum says to this one; the quorum understands it.

use std::sync::Arc;

use dohle_protocol::messages::peer_rpc::{PeerRpcRequest, PeerRpcResponse};

use crate::dispatch::RequestContext;
use crate::state::BrokerState;

pub(crate) async fn handle(broker: &Arc<BrokerState>, _ctx: &RequestContext, request: PeerRpcRequest) -> PeerRpcResponse {
    PeerRpcResponse {
        body: broker.quorum.serve(request.body).await,
        ..PeerRpcResponse::default()
    }
}
