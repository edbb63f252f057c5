//! Consumer groups: list, describe, delete. What they have committed is in [`super::group_offsets`].

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use dohle_protocol::ErrorCode;
use dohle_protocol::consumer_protocol::ConsumerProtocolAssignment;
use dohle_protocol::messages::delete_groups::DeleteGroupsRequest;
use dohle_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup, DescribedGroupMember};
use dohle_protocol::messages::list_groups::{ListGroupsRequest, ListedGroup};

use super::Admin;
use crate::cluster_metadata::TopicPartition;
use crate::connection::Connection;
use crate::error::ClientError;

/// What the server says of a group without being asked for details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    pub id: String,
    /// Empty for a group that only commits offsets.
    pub protocol_type: String,
    /// Kafka's name of the state; empty if the server is too old to tell.
    pub state: String,
    /// `classic`, `consumer`, ...; empty if the server is too old to tell.
    pub kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// Kafka's name of the state; `Dead` for a group that does not exist.
    pub state: String,
    pub protocol_type: String,
    /// The assignor that the members agreed on.
    pub assignor: String,
    /// The node that coordinates the group.
    pub coordinator: i32,
    /// In order of their ids.
    pub members: Vec<MemberDescription>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberDescription {
    pub id: String,
    pub instance_id: Option<String>,
    pub client_id: String,
    pub host: String,
    /// In order; empty if the group is not one of consumers.
    pub assignment: Vec<TopicPartition>,
}

/// One answer per group.
pub type PerGroup<T> = BTreeMap<String, Result<T, ClientError>>;

/// What a coordinator is being asked; in a box, so that it can be sent to another thread.
pub(super) type Asked<T> = Pin<Box<dyn Future<Output = Result<PerGroup<T>, ClientError>> + Send>>;

impl Admin {
    /// Every group of every broker in one of these states and of one of these types (empty: any), in order of their ids.
    pub async fn list_groups(&self, states: &[String], kinds: &[String]) -> Result<Vec<GroupListing>, ClientError> {
        let request = ListGroupsRequest {
            states_filter: states.to_vec(),
            types_filter: kinds.to_vec(),
            ..Default::default()
        };
        let mut listed = BTreeMap::new();
        for &node in self.cluster.metadata().brokers.keys() {
            let mut retries = self.cluster.retries();
            let groups = loop {
                match self.list_groups_of(node, &request).await {
                    Ok(groups) => break groups,
                    Err(error) => retries.after(error).await?,
                }
            };
            for group in groups {
                let listing = GroupListing {
                    id: group.group_id.clone(),
                    protocol_type: group.protocol_type,
                    state: group.group_state,
                    kind: group.group_type,
                };
                listed.insert(group.group_id, listing);
            }
        }
        Ok(listed.into_values().collect())
    }

    async fn list_groups_of(&self, node: i32, request: &ListGroupsRequest) -> Result<Vec<ListedGroup>, ClientError> {
        let response = self.cluster.node(node).await?.call(request).await?;
        ClientError::check(response.error_code, None).map(|()| response.groups)
    }

    /// State and members of each group; one that does not exist is dead.
    pub async fn describe_groups(&self, groups: &[String]) -> Result<PerGroup<GroupDescription>, ClientError> {
        self.ask_coordinators(groups, |node, connection, groups| {
            Box::pin(async move {
                let request = DescribeGroupsRequest {
                    groups,
                    ..Default::default()
                };
                let described = connection.call(&request).await?.groups.into_iter();
                Ok(described.map(|group| (group.group_id.clone(), read_group(group, node))).collect())
            })
        })
        .await
    }

    /// Deletes groups without members, with all that they have committed.
    pub async fn delete_groups(&self, groups: &[String]) -> Result<PerGroup<()>, ClientError> {
        self.ask_coordinators(groups, |_, connection, groups_names| {
            Box::pin(async move {
                let request = DeleteGroupsRequest {
                    groups_names,
                    ..Default::default()
                };
                let results = connection.call(&request).await?.results.into_iter();
                Ok(results
                    .map(|result| (result.group_id, ClientError::check(result.error_code, None)))
                    .collect())
            })
        })
        .await
    }

    /// Asks each coordinator about its groups at once, until every group has an answer that will not change, or the time is up.
    pub(super) async fn ask_coordinators<T: Send>(
        &self,
        groups: &[String],
        ask: impl Fn(i32, Arc<Connection>, Vec<String>) -> Asked<T> + Sync,
    ) -> Result<PerGroup<T>, ClientError> {
        let mut answers: PerGroup<T> = BTreeMap::new();
        let mut retries = self.cluster.retries();
        loop {
            let Err(error) = self.ask_about_open(groups, &ask, &mut answers).await else {
                return Ok(answers);
            };
            if let Err(error) = retries.after(error).await {
                // What is still refused is told group by group.
                let all_told = groups.iter().all(|group| answers.contains_key(group));
                return if all_told { Ok(answers) } else { Err(error) };
            }
        }
    }

    /// One attempt for the groups that have no final answer yet; the error may be one of a group.
    async fn ask_about_open<T: Send>(
        &self,
        groups: &[String],
        ask: &(impl Fn(i32, Arc<Connection>, Vec<String>) -> Asked<T> + Sync),
        answers: &mut PerGroup<T>,
    ) -> Result<(), ClientError> {
        let open = |group: &&String| {
            let answer = answers.get(*group);
            answer.is_none_or(|answer| answer.as_ref().is_err_and(ClientError::is_retriable))
        };
        let open: Vec<String> = groups.iter().filter(open).cloned().collect();
        let mut by_node: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (group, coordinator) in self.cluster.coordinators(&open).await? {
            match coordinator {
                Ok(node) => by_node.entry(node).or_default().push(group),
                Err(error) => drop(answers.insert(group, Err(error))),
            }
        }
        for (node, groups) in by_node {
            answers.extend(ask(node, self.cluster.node(node).await?, groups).await?);
        }
        let mut later = answers.values().filter_map(|answer| answer.as_ref().err());
        later.find(|error| error.is_retriable()).map_or(Ok(()), |error| Err(error.clone()))
    }
}

fn read_group(group: DescribedGroup, coordinator: i32) -> Result<GroupDescription, ClientError> {
    let missing = group.error_code == ErrorCode::GroupIdNotFound.code();
    if !missing {
        ClientError::check(group.error_code, group.error_message)?;
    }
    let read_member = |member: DescribedGroupMember| MemberDescription {
        id: member.member_id,
        instance_id: member.group_instance_id,
        client_id: member.client_id,
        host: member.client_host,
        assignment: read_assignment(&group.protocol_type, member.member_assignment),
    };
    let mut members: Vec<MemberDescription> = group.members.into_iter().map(read_member).collect();
    members.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(GroupDescription {
        state: if missing { "Dead".to_owned() } else { group.group_state },
        protocol_type: group.protocol_type,
        assignor: group.protocol_data,
        coordinator,
        members,
    })
}

/// Members may write what they like; what is no assignment of partitions counts as none.
fn read_assignment(protocol_type: &str, bytes: Bytes) -> Vec<TopicPartition> {
    if protocol_type != "consumer" || bytes.is_empty() {
        return Vec::new();
    }
    let assigned = ConsumerProtocolAssignment::decode(bytes).map_or_else(|_| Vec::new(), |assignment| assignment.assigned_partitions);
    let partitions = assigned.into_iter().flat_map(|topic| {
        let name: Arc<str> = Arc::from(topic.topic);
        topic
            .partitions
            .into_iter()
            .map(move |partition| TopicPartition::new(name.clone(), partition))
    });
    let mut partitions: Vec<TopicPartition> = partitions.collect();
    partitions.sort();
    partitions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(error: ErrorCode, assignment: Bytes) -> DescribedGroup {
        let member = DescribedGroupMember {
            member_id: "m".into(),
            member_assignment: assignment,
            ..Default::default()
        };
        DescribedGroup {
            error_code: error.code(),
            group_state: "Stable".into(),
            protocol_type: "consumer".into(),
            members: vec![member],
            ..Default::default()
        }
    }

    #[test]
    fn assignments_are_read_in_order_and_garbage_is_none() {
        let topic = |topic: &str, partitions: &[i32]| dohle_protocol::consumer_protocol::TopicPartition {
            topic: topic.into(),
            partitions: partitions.to_vec(),
        };
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![topic("u", &[0]), topic("t", &[2, 1])],
            user_data: None,
        };
        let assigned = |bytes| {
            read_group(described(ErrorCode::None, bytes), 1)
                .unwrap()
                .members
                .remove(0)
                .assignment
        };
        let expected = [("t", 1), ("t", 2), ("u", 0)].map(|(topic, partition)| TopicPartition::new(topic, partition));
        assert_eq!(assigned(assignment.encode(3)), expected);
        assert_eq!(assigned(Bytes::from_static(b"garbage")), []);
        assert_eq!(assigned(Bytes::new()), []);
    }

    #[test]
    fn a_group_that_does_not_exist_is_dead_and_other_errors_are_errors() {
        assert_eq!(
            read_group(described(ErrorCode::GroupIdNotFound, Bytes::new()), 1).unwrap().state,
            "Dead"
        );
        let refused = read_group(described(ErrorCode::GroupAuthorizationFailed, Bytes::new()), 1);
        assert_eq!(refused.unwrap_err().code(), Some(ErrorCode::GroupAuthorizationFailed));
    }
}
