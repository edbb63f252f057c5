//! Whatever is asked: nothing panics, the same is decided twice, and the log alone makes the image again.

use super::*;
use crate::delta::Delta;
use dohle_protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use dohle_protocol::messages::delete_topics::DeleteTopicState;
use dohle_protocol::messages::{alter_configs as whole, incremental_alter_configs as incremental};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "a.b", "a_b", "t", "__cluster_metadata", "", "..", "1", "2"]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn config() -> impl Strategy<Value = (String, Option<String>)> {
    let key = prop::sample::select(vec![
        "cleanup.policy",
        "segment.bytes",
        "flush.policy",
        "log.retention.ms",
        "nope",
        "",
    ]);
    let value = prop::sample::select(vec!["compact", "delete", "2097152", "-1", "os", "", "compact,delete"]).prop_map(str::to_owned);
    (
        key.prop_map(str::to_owned),
        prop::option::weighted(0.9, prop_oneof![5 => value, 1 => any::<String>()]),
    )
}

fn broker() -> impl Strategy<Value = i32> {
    prop_oneof![8 => 0..5, 1 => any::<i32>()]
}

fn create_topics() -> impl Strategy<Value = ControllerRequest> {
    let replicas = prop::collection::vec(broker(), 0..4);
    let assignment = (0..3, replicas).prop_map(|(partition_index, broker_ids)| CreatableReplicaAssignment {
        partition_index,
        broker_ids,
        ..Default::default()
    });
    let counts = (
        prop_oneof![4 => -2..6, 1 => any::<i32>()],
        prop_oneof![4 => -2i16..5, 1 => any::<i16>()],
    );
    let topic = (
        name(),
        counts,
        prop::collection::vec(assignment, 0..2),
        prop::collection::vec(config(), 0..3),
    );
    let topic = topic.prop_map(|(name, (num_partitions, replication_factor), assignments, configs)| {
        let to_wire = |(name, value)| CreatableTopicConfig {
            name,
            value,
            ..Default::default()
        };
        let configs = configs.into_iter().map(to_wire).collect();
        CreatableTopic {
            name,
            num_partitions,
            replication_factor,
            assignments,
            configs,
            ..Default::default()
        }
    });
    (prop::collection::vec(topic, 0..4), any::<bool>()).prop_map(|(topics, validate_only)| {
        ControllerRequest::CreateTopics(CreateTopicsRequest {
            topics,
            validate_only,
            ..Default::default()
        })
    })
}

fn create_partitions() -> impl Strategy<Value = ControllerRequest> {
    let assignment = prop::collection::vec(broker(), 0..3).prop_map(|broker_ids| CreatePartitionsAssignment {
        broker_ids,
        ..Default::default()
    });
    let count = prop_oneof![4 => -1..9, 1 => any::<i32>()];
    let topic = (name(), count, prop::option::weighted(0.3, prop::collection::vec(assignment, 0..3)));
    let topic = topic.prop_map(|(name, count, assignments)| CreatePartitionsTopic {
        name,
        count,
        assignments,
        ..Default::default()
    });
    (prop::collection::vec(topic, 0..3), any::<bool>()).prop_map(|(topics, validate_only)| {
        ControllerRequest::CreatePartitions(CreatePartitionsRequest {
            topics,
            validate_only,
            ..Default::default()
        })
    })
}

fn delete_topics() -> impl Strategy<Value = ControllerRequest> {
    let state = (prop::option::of(name()), prop_oneof![3 => Just(0u128), 1 => any::<u128>()]);
    let state = state.prop_map(|(name, id)| DeleteTopicState {
        name,
        topic_id: Uuid::from_u128(id),
        ..Default::default()
    });
    (prop::collection::vec(state, 0..3), prop::collection::vec(name(), 0..2)).prop_map(|(topics, topic_names)| {
        ControllerRequest::DeleteTopics(DeleteTopicsRequest {
            topics,
            topic_names,
            ..Default::default()
        })
    })
}

fn alter_configs() -> impl Strategy<Value = ControllerRequest> {
    let kind = prop_oneof![8 => prop::sample::select(vec![2i8, 4, 8, 16, 32]), 1 => any::<i8>()];
    let resource = (kind, name(), prop::collection::vec(config(), 0..3));
    let resource = resource.prop_map(|(resource_type, resource_name, configs)| {
        let to_wire = |(name, value)| whole::AlterableConfig {
            name,
            value,
            ..Default::default()
        };
        let configs = configs.into_iter().map(to_wire).collect();
        whole::AlterConfigsResource {
            resource_type,
            resource_name,
            configs,
            ..Default::default()
        }
    });
    (prop::collection::vec(resource, 0..3), any::<bool>()).prop_map(|(resources, validate_only)| {
        ControllerRequest::AlterConfigs(AlterConfigsRequest {
            resources,
            validate_only,
            ..Default::default()
        })
    })
}

fn incremental_alter_configs() -> impl Strategy<Value = ControllerRequest> {
    let kind = prop_oneof![8 => prop::sample::select(vec![2i8, 4, 8, 16, 32]), 1 => any::<i8>()];
    let change = (config(), prop_oneof![8 => 0i8..4, 1 => any::<i8>()]);
    let resource = (kind, name(), prop::collection::vec(change, 0..3));
    let resource = resource.prop_map(|(resource_type, resource_name, configs)| {
        let to_wire = |((name, value), config_operation)| incremental::AlterableConfig {
            name,
            config_operation,
            value,
            ..Default::default()
        };
        let configs = configs.into_iter().map(to_wire).collect();
        incremental::AlterConfigsResource {
            resource_type,
            resource_name,
            configs,
            ..Default::default()
        }
    });
    (prop::collection::vec(resource, 0..3), any::<bool>()).prop_map(|(resources, validate_only)| {
        ControllerRequest::IncrementalAlterConfigs(IncrementalAlterConfigsRequest {
            resources,
            validate_only,
            ..Default::default()
        })
    })
}

fn of_broker() -> impl Strategy<Value = ControllerRequest> {
    let register = (broker(), 0u128..3).prop_map(|(id, incarnation)| ControllerRequest::RegisterBroker(registration(id, incarnation)));
    // The epoch is put right before the request is made.
    let heartbeat = (broker(), any::<bool>(), any::<bool>()).prop_map(|(id, want_fence, want_shut_down)| {
        ControllerRequest::BrokerHeartbeat(BrokerHeartbeatRequest {
            broker_id: id,
            current_metadata_offset: i64::MAX - 1,
            want_fence,
            want_shut_down,
            ..Default::default()
        })
    });
    let allocate = broker().prop_map(|id| {
        ControllerRequest::AllocateProducerIds(AllocateProducerIdsRequest {
            broker_id: id,
            ..Default::default()
        })
    });
    prop_oneof![2 => register, 4 => heartbeat, 1 => allocate, 1 => Just(ControllerRequest::FenceSilentBrokers)]
}

fn request() -> impl Strategy<Value = ControllerRequest> {
    prop_oneof![
        3 => create_topics(),
        1 => create_partitions(),
        1 => delete_topics(),
        1 => alter_configs(),
        2 => incremental_alter_configs(),
        4 => of_broker(),
    ]
}

fn with_current_epoch(image: &ClusterImage, mut request: ControllerRequest) -> ControllerRequest {
    let epoch_of = |id: i32| image.broker(BrokerId(id)).map_or(0, |broker| broker.epoch);
    match &mut request {
        ControllerRequest::BrokerHeartbeat(heartbeat) => heartbeat.broker_epoch = epoch_of(heartbeat.broker_id),
        ControllerRequest::AllocateProducerIds(allocate) => allocate.broker_epoch = epoch_of(allocate.broker_id),
        _ => {}
    }
    request
}

/// What holds in every image, whatever happened.
fn check_invariants(image: &ClusterImage) {
    for topic in image.topics().iter() {
        assert!(topic.partitions.keys().map(|index| index.0).eq(0..topic.partitions.len() as i32));
        for partition in topic.partitions.values() {
            assert!(
                !partition.isr.is_empty() && partition.isr.iter().all(|id| partition.replicas.contains(id)),
                "{partition:?}"
            );
            assert!(
                partition.leader.is_none() || partition.isr.contains(&partition.leader),
                "{partition:?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_alone_makes_the_image(requests in prop::collection::vec((request(), 0i64..6_000), 1..40)) {
        let mut cluster = Cluster::of(2);
        for (request, passed_ms) in requests {
            cluster.now_ms += passed_ms;
            let request = with_current_epoch(&cluster.image, request);
            let (before, mut soft) = (cluster.image.clone(), cluster.soft.clone());
            soft.reached(Offset(cluster.offset()));
            let decision = cluster.decide(request.clone());
            let again = cluster.controller.decide(&before, &mut soft, cluster.now_ms, cluster.seed, request);
            prop_assert_eq!(&decision, &again);
            prop_assert_eq!(&cluster.soft, &soft);
            let same_but_for_producer_ids = before == cluster.image || before.next_producer_id() != cluster.image.next_producer_id();
            prop_assert_eq!(Delta::between(&before, &cluster.image).is_empty(), same_but_for_producer_ids);
            check_invariants(&cluster.image);
        }
        let encoded: Vec<_> = cluster.log.iter().map(|record| record.encode().unwrap()).collect();
        let replayed: Vec<_> = encoded.iter().map(|bytes| MetadataRecord::decode(bytes).unwrap()).collect();
        prop_assert_eq!(&ClusterImage::from_records(&replayed), &cluster.image);
        prop_assert_eq!(&ClusterImage::from_records(&cluster.image.to_records()), &cluster.image);
    }
}
