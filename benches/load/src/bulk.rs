//! As many bytes as possible, one way.

use anyhow::{Result, bail};
use clap::Args;
use rand::RngExt;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Target;

/// Records between two looks at what was delivered.
const POLL_EVERY: u64 = 1000;
/// Longer than this without a record, and the broker has stopped to answer.
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Produce {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    records: u64,
    /// Bytes of a value.
    #[arg(long)]
    size: usize,
    /// Records go round the partitions in chunks of 100.
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Values of words instead of random bytes, so that they can be compressed.
    #[arg(long)]
    text: bool,
}

#[derive(Args)]
pub(crate) struct Consume {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    records: u64,
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// Joins this group instead of assigning the partitions.
    #[arg(long)]
    group: Option<String>,
}

#[derive(Clone, Default)]
struct Delivered(Arc<AtomicU64>);

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &rdkafka::message::DeliveryResult<'_>, (): ()) {
        if result.is_ok() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Produce {
    pub(crate) fn run(&self) -> Result<Value> {
        let defaults = [
            ("acks", "all"),
            ("linger.ms", "5"),
            ("batch.size", "1000000"),
            ("batch.num.messages", "1000000"),
            ("queue.buffering.max.messages", "500000"),
        ];
        let config: ClientConfig = self.target.config(&defaults);
        let delivered = Delivered::default();
        let producer: BaseProducer<Delivered> = config.create_with_context(delivered.clone())?;
        // Connected, and the partitions known, before the clock starts.
        producer.client().fetch_metadata(Some(&self.target.topic), SILENCE_MAX)?;
        let values = values(self.size, self.text);
        let (began, cpu) = (Instant::now(), cpu_s());
        for number in 0..self.records {
            let value = &values[number as usize % values.len()];
            let partition = (number / 100) as i32 % self.partitions;
            let mut record = BaseRecord::<(), [u8]>::to(&self.target.topic).partition(partition).payload(value);
            while let Err((error, refused)) = producer.send(record) {
                if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                producer.poll(Duration::from_millis(10));
                record = refused;
            }
            if number % POLL_EVERY == 0 {
                producer.poll(Duration::ZERO);
            }
        }
        producer.flush(SILENCE_MAX * 4)?;
        let (seconds, client_cpu_s) = (began.elapsed().as_secs_f64(), cpu_s() - cpu);
        let delivered = delivered.0.load(Ordering::Relaxed);
        if delivered != self.records {
            bail!("{delivered} of {} records were acknowledged", self.records);
        }
        Ok(json!({"seconds": seconds, "client_cpu_s": client_cpu_s, "bytes": self.records * self.size as u64}))
    }
}

impl Consume {
    pub(crate) fn run(&self) -> Result<Value> {
        let defaults = [
            ("group.id", self.group.as_deref().unwrap_or("unused")),
            ("enable.auto.commit", if self.group.is_some() { "true" } else { "false" }),
            ("auto.offset.reset", "earliest"),
        ];
        let consumer: BaseConsumer = self.target.config(&defaults).create()?;
        if self.group.is_some() {
            consumer.subscribe(&[&self.target.topic])?;
        } else {
            let mut assignment = TopicPartitionList::new();
            for partition in 0..self.partitions {
                assignment.add_partition_offset(&self.target.topic, partition, Offset::Beginning)?;
            }
            consumer.assign(&assignment)?;
        }
        // The clock runs from the first record: finding the partitions is another measure.
        let mut start = None;
        let (mut records, mut bytes) = (0, 0);
        // How many records had come when none came, and since when.
        let mut silence = (0, Instant::now());
        while records < self.records {
            // A rebalance or a commit ends a poll too.
            let Some(message) = consumer.poll(SILENCE_MAX) else {
                if records > silence.0 {
                    silence = (records, Instant::now());
                } else if silence.1.elapsed() >= SILENCE_MAX {
                    bail!("{records} of {} records came", self.records);
                }
                continue;
            };
            let message = message?;
            start.get_or_insert_with(|| (Instant::now(), cpu_s()));
            records += 1;
            bytes += message.payload_len() as u64;
        }
        let (began, cpu) = start.unwrap_or_else(|| (Instant::now(), cpu_s()));
        Ok(json!({"seconds": began.elapsed().as_secs_f64(), "client_cpu_s": cpu_s() - cpu, "bytes": bytes}))
    }
}

/// Four thousand values, none like the other: more than a batch of text holds, or compression would find its own traces.
fn values(size: usize, is_text: bool) -> Vec<Vec<u8>> {
    const WORDS: [&str; 16] = [
        "order",
        "created",
        "customer",
        "amount",
        "currency",
        "status",
        "shipped",
        "address",
        "street",
        "country",
        "item",
        "quantity",
        "price",
        "total",
        "warehouse",
        "carrier",
    ];
    let mut random = rand::rng();
    let value = |_| {
        let mut value = vec![0; size];
        if is_text {
            let mut at = 0;
            while at < size {
                let word = format!(
                    "\"{}\":{},",
                    WORDS[random.random_range(0..WORDS.len())],
                    random.random_range(0..10_000)
                );
                let fits = word.len().min(size - at);
                value[at..at + fits].copy_from_slice(&word.as_bytes()[..fits]);
                at += fits;
            }
        } else {
            random.fill(&mut value[..]);
        }
        value
    };
    (0..4000).map(value).collect()
}

/// User and system time of this process so far.
pub(crate) fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
