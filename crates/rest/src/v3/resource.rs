//! The envelope of everything that version 3 shows: what it is, where it is, and where what belongs to it is.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::{escaped, json};

/// What can be shown.
pub(super) trait Kind: Serialize {
    const KIND: &'static str;
}

#[derive(Serialize, ToSchema)]
pub(super) struct Resource<T> {
    kind: &'static str,
    metadata: ResourceMetadata,
    #[serde(flatten)]
    data: T,
}

#[derive(Serialize, ToSchema)]
struct ResourceMetadata {
    #[serde(rename = "self")]
    url: String,
    resource_name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Collection<T> {
    kind: String,
    metadata: CollectionMetadata,
    data: Vec<Resource<T>>,
}

#[derive(Serialize, ToSchema)]
struct CollectionMetadata {
    #[serde(rename = "self")]
    url: String,
    /// Always null: an answer holds all there is.
    next: Option<String>,
}

/// Where something else is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Related {
    related: String,
}

/// Where something is: its address and its name in the cluster.
#[derive(Debug, Clone)]
pub(super) struct Place {
    url: String,
    name: String,
}

impl Place {
    /// `base` is the advertised address of the proxy.
    pub(super) fn cluster(base: &str, id: &str) -> Place {
        Place {
            url: format!("{base}/v3/clusters/{}", escaped(id)),
            name: format!("crn:///kafka={id}"),
        }
    }

    /// One of a kind that belongs to this: `topics`, `topic` and a topic's name.
    pub(super) fn within(&self, collection: &str, kind: &str, id: &(impl ToString + ?Sized)) -> Place {
        let id = id.to_string();
        Place {
            url: format!("{}/{collection}/{}", self.url, escaped(&id)),
            name: format!("{}/{kind}={id}", self.name),
        }
    }

    /// The only one of its kind.
    pub(super) fn only(&self, kind: &str) -> Place {
        Place {
            url: format!("{}/{kind}", self.url),
            name: format!("{}/{kind}", self.name),
        }
    }

    /// A view of this that a parameter chooses: the address is without it.
    pub(super) fn view(&self, what: &str, parameter: &str, value: &str) -> Place {
        Place {
            url: format!("{}/{what}", self.url),
            name: format!("{}/{parameter}={value}", self.name),
        }
    }

    pub(super) fn topic(&self, name: &str) -> Place {
        self.within("topics", "topic", name)
    }

    pub(super) fn broker(&self, id: i32) -> Place {
        self.within("brokers", "broker", &id)
    }

    pub(super) fn partition(&self, topic: &str, index: i32) -> Place {
        self.topic(topic).within("partitions", "partition", &index)
    }

    pub(super) fn group(&self, id: &str) -> Place {
        self.within("consumer-groups", "consumer-group", id)
    }

    /// Of a group, for a partition.
    pub(super) fn lag(&self, topic: &str, index: i32) -> Place {
        self.within("lags", "lag", topic).within("partitions", "partition", &index)
    }

    /// A link to this.
    pub(super) fn related(&self) -> Related {
        Related { related: self.url.clone() }
    }

    /// A link to what belongs to this.
    pub(super) fn related_to(&self, collection: &str) -> Related {
        Related {
            related: format!("{}/{collection}", self.url),
        }
    }

    pub(super) fn holds<T: Kind>(self, data: T) -> Resource<T> {
        Resource {
            kind: T::KIND,
            metadata: ResourceMetadata {
                url: self.url,
                resource_name: self.name,
            },
            data,
        }
    }

    /// All of a kind that belong to this, as an answer.
    pub(super) fn all<T: Kind>(&self, collection: &str, data: Vec<Resource<T>>) -> Response {
        json(&self.collection(collection, data))
    }

    /// What comes before and behind the items, where they are too many to be held at one time.
    pub(super) fn open<T: Kind>(&self, collection: &str) -> (String, String) {
        let empty = self.collection::<T>(collection, Vec::new());
        let mut head = serde_json::to_string(&empty).expect("plain data into memory");
        let tail = head.split_off(head.len() - "]}".len());
        (head, tail)
    }

    fn collection<T: Kind>(&self, collection: &str, data: Vec<Resource<T>>) -> Collection<T> {
        Collection {
            kind: format!("{}List", T::KIND),
            metadata: CollectionMetadata {
                url: format!("{}/{collection}", self.url),
                next: None,
            },
            data,
        }
    }
}

/// The clusters have no place above them.
pub(super) fn all_clusters<T: Kind>(base: &str, data: Vec<Resource<T>>) -> Response {
    let above = Place {
        url: format!("{base}/v3"),
        name: String::new(),
    };
    above.all("clusters", data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r6_addresses_are_escaped() {
        let group = Place::cluster("http://h:1", "c").group("a/b");
        assert_eq!(group.url, "http://h:1/v3/clusters/c/consumer-groups/a%2Fb");
        assert_eq!(group.name, "crn:///kafka=c/consumer-group=a/b");
        assert_eq!(
            group.only("lag-summary").url,
            "http://h:1/v3/clusters/c/consumer-groups/a%2Fb/lag-summary"
        );
    }
}
