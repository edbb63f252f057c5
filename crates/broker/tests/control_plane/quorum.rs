//! DescribeQuorum.

use dohle_protocol::ErrorCode;
use dohle_protocol::messages::describe_quorum::{DescribeQuorumRequest, RequestPartitionData, RequestTopicData};

use crate::node::{self, Client};

fn about(topic: &str, partition_index: i32) -> DescribeQuorumRequest {
    let partitions = vec![RequestPartitionData {
        partition_index,
        ..RequestPartitionData::default()
    }];
    let topics = vec![RequestTopicData {
        topic_name: topic.to_string(),
        partitions,
        ..RequestTopicData::default()
    }];
    DescribeQuorumRequest {
        topics,
        ..DescribeQuorumRequest::default()
    }
}

#[tokio::test]
async fn the_quorum_of_one_is_led_by_its_voter() {
    let dir = tempfile::tempdir().unwrap();
    let broker = node::start(dir.path(), &[]).await;
    let mut client = Client::connect(&broker).await;
    for version in 0..=2 {
        let response = client.call(version, &about("__cluster_metadata", 0)).await;
        let partition = &response.topics[0].partitions[0];
        assert_eq!((partition.error_code, partition.leader_id), (0, 1));
        assert!(partition.leader_epoch > 0 && partition.high_watermark > 0);
        assert_eq!(partition.current_voters.len(), 1);
        assert_eq!(partition.current_voters[0].log_end_offset, partition.high_watermark);
        assert_eq!(response.nodes.len(), usize::from(version == 2));
    }
    for request in [about("t", 0), about("__cluster_metadata", 1)] {
        let response = client.ask(&request).await;
        assert_eq!(
            response.topics[0].partitions[0].error_code,
            ErrorCode::UnknownTopicOrPartition.code()
        );
    }
}
