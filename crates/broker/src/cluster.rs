//! This broker's part in the cluster: who it is to the others, and what the metadata have it do.

pub(crate) mod assignments;
pub(crate) mod auto_create;
pub(crate) mod controller;
pub(crate) mod endpoints;
pub(crate) mod identity;
pub(crate) mod producer_ids;
pub(crate) mod publisher;
pub(crate) mod registration;
