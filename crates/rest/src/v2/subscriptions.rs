//! What an instance reads: topics shared with its group, or partitions of its own.

use std::sync::Arc;

use axum::extract::State;
use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PartitionName, Partitions};
use crate::answer::{Answer, Segments, check_topic, json, no_content};
use crate::body::RequestBody;
use crate::error::{ErrorBody, RestError};
use crate::limits::{PATTERN_BYTES_MAX, PATTERN_COMPILED_BYTES_MAX, SUBSCRIPTION_TOPICS_MAX};
use crate::proxy::Proxy;
use crate::reader::Wants;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SubscribeRequest {
    topics: Option<Vec<String>>,
    topic_pattern: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Topics {
    topics: Vec<String>,
}

/// The member joins its group now, not with its first read: what is written from now on is read.
#[utoipa::path(
    post,
    path = "/consumers/{group}/instances/{instance}/subscription",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    request_body(content = SubscribeRequest, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn subscribe(
    State(proxy): State<Arc<Proxy>>,
    Segments((group, id)): Segments<(String, String)>,
    body: RequestBody,
) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let wants = match body.parse::<SubscribeRequest>()? {
        SubscribeRequest {
            topics: Some(topics),
            topic_pattern: None,
        } => topic_list(topics)?,
        SubscribeRequest {
            topics: None,
            topic_pattern: Some(pattern),
        } => Wants::Pattern(compiled(&pattern)?),
        _ => return Err(RestError::unprocessable("Either topics or topic_pattern is required")),
    };
    instance.visit(&proxy).await?.reader().subscribe(wants)?;
    Ok(no_content())
}

fn topic_list(topics: Vec<String>) -> Result<Wants, RestError> {
    if topics.is_empty() || topics.len() > SUBSCRIPTION_TOPICS_MAX {
        return Err(RestError::unprocessable(format!(
            "topics must name 1 to {SUBSCRIPTION_TOPICS_MAX} topics"
        )));
    }
    let legal = topics.iter().all(|topic| check_topic(topic).is_ok());
    legal
        .then_some(Wants::Topics(topics))
        .ok_or_else(|| RestError::unprocessable("topics must be names of topics"))
}

/// Matches whole names, as in Java.
fn compiled(pattern: &str) -> Result<Regex, RestError> {
    let invalid = |reason: &dyn std::fmt::Display| RestError::unprocessable(format!("topic_pattern is not valid: {reason}"));
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(invalid(&format!("it is longer than {PATTERN_BYTES_MAX} bytes")));
    }
    let compile = |pattern: &str| RegexBuilder::new(pattern).size_limit(PATTERN_COMPILED_BYTES_MAX).build();
    // Alone first: `a)|(?:b` is one only within the parentheses.
    let whole = compile(pattern).and_then(|_| compile(&format!("^(?:{pattern})$")));
    whole.map_err(|error| invalid(&error))
}

#[utoipa::path(
    get,
    path = "/consumers/{group}/instances/{instance}/subscription",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    responses((status = 200, description = "The topics", body = Topics), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn subscription(State(proxy): State<Arc<Proxy>>, Segments((group, id)): Segments<(String, String)>) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let wants = instance.visit(&proxy).await?.reader().wants().clone();
    let topics = match wants {
        Wants::Topics(topics) => topics,
        Wants::Nothing | Wants::Partitions => Vec::new(),
        Wants::Pattern(pattern) => {
            let known = proxy.admin().await?.list_topics().await?;
            let matching = known.iter().filter(|topic| !topic.is_internal && pattern.is_match(&topic.name));
            matching.map(|topic| topic.name.to_string()).collect()
        }
    };
    Ok(json(&Topics { topics }))
}

#[utoipa::path(
    delete,
    path = "/consumers/{group}/instances/{instance}/subscription",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn unsubscribe(State(proxy): State<Arc<Proxy>>, Segments((group, id)): Segments<(String, String)>) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let mut visit = instance.visit(&proxy).await?;
    instance.unless_closed(visit.reader().unsubscribe()).await?;
    Ok(no_content())
}

#[utoipa::path(
    post,
    path = "/consumers/{group}/instances/{instance}/assignments",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    request_body(content = Partitions, content_type = "application/vnd.kafka.v2+json", description = "The request"),
    responses((status = 204, description = "Done"), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn assign(
    State(proxy): State<Arc<Proxy>>,
    Segments((group, id)): Segments<(String, String)>,
    body: RequestBody,
) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let partitions = body.parse::<Partitions>()?.checked()?;
    let mut visit = instance.visit(&proxy).await?;
    instance.unless_closed(visit.reader().assign(partitions)).await?;
    Ok(no_content())
}

#[utoipa::path(
    get,
    path = "/consumers/{group}/instances/{instance}/assignments",
    tag = "consumers",
    params(("group" = String, Path), ("instance" = String, Path)),
    responses((status = 200, description = "The partitions", body = Partitions), (status = "default", description = "An error", body = ErrorBody))
)]
pub(super) async fn assignments(State(proxy): State<Arc<Proxy>>, Segments((group, id)): Segments<(String, String)>) -> Answer {
    let instance = proxy.instances.find(&group, &id)?;
    let assigned = instance.visit(&proxy).await?.reader().assignment();
    let partitions = assigned.iter().map(PartitionName::from).collect();
    Ok(json(&Partitions { partitions }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names_and_are_bounded() {
        let pattern = compiled("a|b.*").unwrap();
        assert_eq!(
            ["a", "b1", "a1", "xb"].map(|name| pattern.is_match(name)),
            [true, true, false, false]
        );
        for bad in ["(", "a)|(?:b", "(a{1000}){1000}", "[a-z]{5000}", &"a".repeat(1001)] {
            assert_eq!(compiled(bad).unwrap_err().code(), 422, "{bad}");
        }
    }
}
