//! Which topics a member wants.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::cluster_metadata::ClusterMetadata;

#[derive(Clone)]
pub(in crate::consumer) enum Subscription {
    Topics(BTreeSet<Arc<str>>),
    /// All topics whose names the function approves of.
    Matching(Arc<dyn Fn(&str) -> bool + Send + Sync>),
}

impl Subscription {
    pub(in crate::consumer) fn wants(&self, topic: &str) -> bool {
        match self {
            Subscription::Topics(topics) => topics.contains(topic),
            Subscription::Matching(matches) => matches(topic),
        }
    }

    /// The names to join with. A topic that is named is wanted before it exists.
    pub(super) fn topics(&self, metadata: &ClusterMetadata, exclude_internal: bool) -> BTreeSet<Arc<str>> {
        match self {
            Subscription::Topics(topics) => topics.clone(),
            Subscription::Matching(matches) => {
                let topics = metadata.topics.values();
                let wanted = topics.filter(|topic| !(exclude_internal && topic.is_internal) && matches(&topic.name));
                wanted.map(|topic| topic.name.clone()).collect()
            }
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subscription::Topics(topics) => f.debug_tuple("Topics").field(topics).finish(),
            Subscription::Matching(_) => f.write_str("Matching"),
        }
    }
}
