//! Ten thousand of everything. The bounds are loose: they fail if a change copies all that there is, not if the machine is busy.

use super::*;
use crate::delta::Delta;
use std::time::{Duration, Instant};

const SLOW: Duration = Duration::from_secs(20);

#[test]
fn ten_thousand_partitions_in_one_request() {
    let started = Instant::now();
    let mut cluster = Cluster::of(1);
    let before = cluster.image.clone();
    cluster.topic("wide", 10_000, 1);
    assert_eq!(Delta::between(&before, &cluster.image).partitions.len(), 10_000);
    let refused = cluster.create_all(vec![topic("a", 9_999, 1), topic("b", 2, 1), topic("c", 1, 1)], true);
    let codes: Vec<_> = refused.iter().map(|result| ErrorCode::from_code(result.error_code)).collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::PolicyViolation, ErrorCode::None]);
    assert!(started.elapsed() < SLOW, "{:?}", started.elapsed());
}

#[test]
fn ten_thousand_topics_one_by_one_while_somebody_holds_every_image() {
    let started = Instant::now();
    let mut cluster = Cluster::of(1);
    for number in 0..10_000 {
        let published = cluster.image.clone();
        cluster.topic(&format!("topic.{number}"), 1, 1);
        assert_eq!(Delta::between(&published, &cluster.image).topics_created.len(), 1);
    }
    assert_eq!(cluster.image.topics().len(), 10_000);
    assert!(started.elapsed() < SLOW, "{:?}", started.elapsed());
}
