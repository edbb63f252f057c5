//! This node's part in the cluster: who it is to the others, how it asks them, and what the metadata have it do.

pub(crate) mod active_controller;
pub(crate) mod assignments;
pub(crate) mod auto_create;
pub(crate) mod controller;
pub(crate) mod elsewhere;
pub(crate) mod endpoints;
pub(crate) mod forwarding;
pub(crate) mod identity;
pub(crate) mod membership;
pub(crate) mod peers;
pub(crate) mod producer_ids;
pub(crate) mod publisher;
pub(crate) mod succession;
pub(crate) mod suspicion;
pub(crate) mod voters;
