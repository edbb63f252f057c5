//! Consumer groups, their members, and what each member reads.

use dohle_client::TopicPartition;
use dohle_client::admin::groups::{GroupDescription, GroupListing, MemberDescription};
use serde::Serialize;
use utoipa::ToSchema;

use super::resource::{Collection, Kind, Related, Resource};
use super::scope::Scope;
use crate::answer::{Answer, Segments, check_name, json};
use crate::error::{ErrorBody, RestError};

#[derive(Serialize, ToSchema)]
struct ConsumerGroupData {
    cluster_id: String,
    consumer_group_id: String,
    /// It only commits offsets.
    is_simple: bool,
    partition_assignor: String,
    state: String,
    #[serde(rename = "type")]
    group_type: String,
    coordinator: Related,
    consumers: Related,
    lag_summary: Related,
}

impl Kind for ConsumerGroupData {
    const KIND: &'static str = "KafkaConsumerGroup";
}

#[derive(Serialize, ToSchema)]
struct ConsumerData {
    cluster_id: String,
    consumer_group_id: String,
    consumer_id: String,
    instance_id: Option<String>,
    client_id: String,
    assignments: Related,
}

impl Kind for ConsumerData {
    const KIND: &'static str = "KafkaConsumer";
}

#[derive(Serialize, ToSchema)]
struct ConsumerAssignmentData {
    cluster_id: String,
    consumer_group_id: String,
    consumer_id: String,
    topic_name: String,
    partition_id: i32,
    partition: Related,
    lag: Related,
}

impl Kind for ConsumerAssignmentData {
    const KIND: &'static str = "KafkaConsumerAssignment";
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups",
    operation_id = "v3_groups_list",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path)),
    responses((status = 200, description = "All groups", body = Collection<ConsumerGroupData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn list(scope: Scope) -> Answer {
    let listed = scope.admin.list_groups(&[], &[]).await?;
    let names: Vec<String> = listed.iter().map(|listing| listing.id.clone()).collect();
    let mut described = scope.admin.describe_groups(&names).await?;
    let mut groups = Vec::with_capacity(names.len());
    for listing in &listed {
        if let Some(description) = described.remove(&listing.id) {
            groups.push(shown(&scope, listing, &description?));
        }
    }
    Ok(scope.place.all("consumer-groups", groups))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}",
    operation_id = "v3_groups_get",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path)),
    responses((status = 200, description = "The group", body = Resource<ConsumerGroupData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn get(scope: Scope, Segments((_, id)): Segments<(String, String)>) -> Answer {
    let description = describe(&scope, &id).await?;
    let listed = scope.admin.list_groups(&[], &[]).await?;
    let listing = listed.iter().find(|listing| listing.id == id).ok_or_else(RestError::no_group)?;
    Ok(json(&shown(&scope, listing, &description)))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/consumers",
    operation_id = "v3_groups_consumers",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path)),
    responses((status = 200, description = "Its members", body = Collection<ConsumerData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn consumers(scope: Scope, Segments((_, id)): Segments<(String, String)>) -> Answer {
    let description = describe(&scope, &id).await?;
    let shown = description.members.iter().map(|member| shown_member(&scope, &id, member));
    Ok(scope.place.group(&id).all("consumers", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/consumers/{consumer}",
    operation_id = "v3_groups_consumer",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path), ("consumer" = String, Path)),
    responses((status = 200, description = "The member", body = Resource<ConsumerData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn consumer(scope: Scope, Segments((_, id, consumer)): Segments<(String, String, String)>) -> Answer {
    let member = describe_member(&scope, &id, &consumer).await?;
    Ok(json(&shown_member(&scope, &id, &member)))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/consumers/{consumer}/assignments",
    operation_id = "v3_groups_assignments",
    tag = "v3 consumer groups",
    params(("cluster" = String, Path), ("group" = String, Path), ("consumer" = String, Path)),
    responses((status = 200, description = "What the member reads", body = Collection<ConsumerAssignmentData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn assignments(scope: Scope, Segments((_, id, consumer)): Segments<(String, String, String)>) -> Answer {
    let member = describe_member(&scope, &id, &consumer).await?;
    let shown = member.assignment.iter().map(|tp| shown_assignment(&scope, &id, &member, tp));
    let place = scope.place.group(&id).within("consumers", "consumer", &consumer);
    Ok(place.all("assignments", shown.collect()))
}

#[utoipa::path(
    get,
    path = "/v3/clusters/{cluster}/consumer-groups/{group}/consumers/{consumer}/assignments/{topic}/partitions/{partition}",
    operation_id = "v3_groups_assignment",
    tag = "v3 consumer groups",
    params(
        ("cluster" = String, Path),
        ("group" = String, Path),
        ("consumer" = String, Path),
        ("topic" = String, Path),
        ("partition" = i32, Path)
    ),
    responses((status = 200, description = "That the member reads it", body = Resource<ConsumerAssignmentData>), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn assignment(
    scope: Scope,
    Segments((_, id, consumer, topic, index)): Segments<(String, String, String, String, i32)>,
) -> Answer {
    let member = describe_member(&scope, &id, &consumer).await?;
    let tp = TopicPartition::new(topic, index);
    if !member.assignment.contains(&tp) {
        return Err(RestError::not_found(format!("{tp} is not assigned to consumer {consumer}.")));
    }
    Ok(json(&shown_assignment(&scope, &id, &member, &tp)))
}

pub(super) async fn describe(scope: &Scope, id: &str) -> Result<GroupDescription, RestError> {
    check_name(id)?;
    let mut described = scope.admin.describe_groups(&[id.to_owned()]).await?;
    let description = described.remove(id).ok_or_else(RestError::no_group)??;
    if description.state == "Dead" {
        return Err(RestError::no_group());
    }
    Ok(description)
}

async fn describe_member(scope: &Scope, id: &str, consumer: &str) -> Result<MemberDescription, RestError> {
    let mut members = describe(scope, id).await?.members.into_iter();
    let found = members.find(|member| member.id == consumer);
    found.ok_or_else(|| RestError::not_found(format!("Consumer {consumer} cannot be found.")))
}

fn shown(scope: &Scope, listing: &GroupListing, description: &GroupDescription) -> Resource<ConsumerGroupData> {
    let place = scope.place.group(&listing.id);
    let data = ConsumerGroupData {
        cluster_id: scope.cluster_id.clone(),
        consumer_group_id: listing.id.clone(),
        is_simple: description.protocol_type.is_empty(),
        partition_assignor: description.assignor.clone(),
        state: in_capitals(&description.state),
        group_type: in_capitals(&listing.kind),
        coordinator: scope.place.broker(description.coordinator).related(),
        consumers: place.related_to("consumers"),
        lag_summary: place.related_to("lag-summary"),
    };
    place.holds(data)
}

fn shown_member(scope: &Scope, group: &str, member: &MemberDescription) -> Resource<ConsumerData> {
    let place = scope.place.group(group).within("consumers", "consumer", &member.id);
    let data = ConsumerData {
        cluster_id: scope.cluster_id.clone(),
        consumer_group_id: group.to_owned(),
        consumer_id: member.id.clone(),
        instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        assignments: place.related_to("assignments"),
    };
    place.holds(data)
}

fn shown_assignment(scope: &Scope, group: &str, member: &MemberDescription, tp: &TopicPartition) -> Resource<ConsumerAssignmentData> {
    let group_place = scope.place.group(group);
    let data = ConsumerAssignmentData {
        cluster_id: scope.cluster_id.clone(),
        consumer_group_id: group.to_owned(),
        consumer_id: member.id.clone(),
        topic_name: tp.topic.to_string(),
        partition_id: tp.partition,
        partition: scope.place.partition(&tp.topic, tp.partition).related(),
        lag: group_place.lag(&tp.topic, tp.partition).related(),
    };
    let consumer = group_place.within("consumers", "consumer", &member.id);
    let assignment = consumer.within("assignments", "assignment", &tp.topic);
    assignment.within("partitions", "partition", &tp.partition).holds(data)
}

/// `PreparingRebalance` is `PREPARING_REBALANCE` here.
fn in_capitals(name: &str) -> String {
    let mut capitals = String::with_capacity(name.len() + 1);
    for character in name.chars() {
        if character.is_ascii_uppercase() && !capitals.is_empty() {
            capitals.push('_');
        }
        capitals.push(character.to_ascii_uppercase());
    }
    capitals
}

#[cfg(test)]
mod tests {
    use super::in_capitals;

    #[test]
    fn states_are_in_capitals() {
        for (name, expected) in [
            ("Stable", "STABLE"),
            ("PreparingRebalance", "PREPARING_REBALANCE"),
            ("classic", "CLASSIC"),
        ] {
            assert_eq!(in_capitals(name), expected);
        }
    }
}
