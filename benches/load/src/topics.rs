//! Topics: created, deleted, and asked until every partition answers.

use anyhow::{Result, bail};
use clap::Args;
use dohle_protocol::ErrorCode;
use dohle_protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use dohle_protocol::messages::delete_topics::DeleteTopicsRequest;
use dohle_protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use dohle_protocol::messages::metadata::MetadataRequest;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

use crate::wire::Wire;

const CREATE_VERSION: i16 = 5;
/// The last version that names the topics.
const DELETE_VERSION: i16 = 5;
const OFFSETS_VERSION: i16 = 5;
const METADATA_VERSION: i16 = 9;
const LATEST: i64 = -1;
const TIMEOUT_MS: i32 = 60_000;
/// A broker that needs longer until its partitions answer is not one to measure.
const PATIENCE: Duration = Duration::from_secs(120);
const METADATA_REQUESTS: usize = 20;

#[derive(Args)]
pub(crate) struct Topic {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    #[arg(long)]
    create: bool,
    #[arg(long)]
    delete: bool,
    /// Of the topic that is created: `key=value`, any number of times.
    #[arg(long = "config")]
    configs: Vec<String>,
}

impl Topic {
    pub(crate) fn run(&self) -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut wire = Wire::connect(&self.bootstrap_server).await?;
            if self.delete {
                return self.delete(&mut wire).await;
            }
            let began = Instant::now();
            if self.create {
                self.create(&mut wire).await?;
            }
            let created_ms = milliseconds(began);
            let records = self.records(&mut wire, began).await?;
            let answers_ms = milliseconds(began);
            let metadata_ms = self.metadata(&mut wire).await?;
            Ok(json!({"created_ms": created_ms, "answers_ms": answers_ms, "records": records, "metadata_ms": metadata_ms}))
        })
    }

    async fn create(&self, wire: &mut Wire) -> Result<()> {
        let configs = self.configs.iter().filter_map(|setting| setting.split_once('='));
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: self.topic.clone(),
                num_partitions: self.partitions,
                replication_factor: 1,
                configs: configs
                    .map(|(name, value)| CreatableTopicConfig {
                        name: name.to_owned(),
                        value: Some(value.to_owned()),
                        ..CreatableTopicConfig::default()
                    })
                    .collect(),
                ..CreatableTopic::default()
            }],
            timeout_ms: TIMEOUT_MS,
            ..CreateTopicsRequest::default()
        };
        let response = wire.call(CREATE_VERSION, &request).await?;
        for topic in response.topics {
            if topic.error_code != 0 {
                let error = ErrorCode::from_code(topic.error_code).name();
                bail!("{} is not created: {error} {}", topic.name, topic.error_message.unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn delete(&self, wire: &mut Wire) -> Result<Value> {
        let request = DeleteTopicsRequest {
            topic_names: vec![self.topic.clone()],
            timeout_ms: TIMEOUT_MS,
            ..DeleteTopicsRequest::default()
        };
        let response = wire.call(DELETE_VERSION, &request).await?;
        if let Some(topic) = response.responses.iter().find(|topic| topic.error_code != 0) {
            bail!("{} is not deleted: {}", self.topic, ErrorCode::from_code(topic.error_code).name());
        }
        Ok(json!({}))
    }

    /// Asks until every log tells its end, and adds them up.
    async fn records(&self, wire: &mut Wire, began: Instant) -> Result<i64> {
        let partition = |partition_index| ListOffsetsPartition {
            partition_index,
            timestamp: LATEST,
            ..ListOffsetsPartition::default()
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            topics: vec![ListOffsetsTopic {
                name: self.topic.clone(),
                partitions: (0..self.partitions).map(partition).collect(),
                ..ListOffsetsTopic::default()
            }],
            ..ListOffsetsRequest::default()
        };
        loop {
            let response = wire.call(OFFSETS_VERSION, &request).await?;
            let answers: Vec<_> = response.topics.iter().flat_map(|topic| &topic.partitions).collect();
            let refused = answers.iter().find(|answer| answer.error_code != 0);
            if refused.is_none() && answers.len() == self.partitions as usize {
                return Ok(answers.iter().map(|answer| answer.offset).sum());
            }
            if began.elapsed() > PATIENCE {
                bail!("{} does not answer: {refused:?}", self.topic);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Milliseconds until all topics with all partitions are told, for each of some requests.
    async fn metadata(&self, wire: &mut Wire) -> Result<Vec<f64>> {
        let request = MetadataRequest {
            topics: None,
            ..MetadataRequest::default()
        };
        let mut taken = Vec::new();
        for _ in 0..METADATA_REQUESTS {
            let began = Instant::now();
            let response = wire.call(METADATA_VERSION, &request).await?;
            taken.push(milliseconds(began));
            let told: usize = response.topics.iter().map(|topic| topic.partitions.len()).sum();
            if told < self.partitions as usize {
                bail!("{told} of {} partitions are told", self.partitions);
            }
        }
        Ok(taken)
    }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
