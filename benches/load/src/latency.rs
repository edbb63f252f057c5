//! The way of single records at a fixed rate: until they are acknowledged, and until they are read.

use anyhow::{Result, bail};
use clap::Args;
use hdrhistogram::Histogram;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Target;

const SILENCE_MAX: Duration = Duration::from_secs(30);
/// Bytes of a value that tell when it was sent.
const STAMP_BYTES: usize = 8;

#[derive(Args)]
pub(crate) struct Latency {
    #[command(flatten)]
    target: Target,
    /// Records a second.
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    seconds: u64,
    /// Not counted at the beginning.
    #[arg(long, default_value_t = 2)]
    warm_up_seconds: u64,
    #[arg(long, default_value_t = 1024)]
    size: usize,
}

/// Microseconds until each record was acknowledged.
#[derive(Clone)]
struct Acknowledged {
    start: Instant,
    counted_from: Duration,
    taken: Arc<Mutex<Histogram<u64>>>,
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = Box<Duration>;

    fn delivery(&self, result: &rdkafka::message::DeliveryResult<'_>, sent: Box<Duration>) {
        if result.is_ok() && *sent >= self.counted_from {
            let taken = self.start.elapsed().saturating_sub(*sent);
            self.taken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .saturating_record(taken.as_micros() as u64);
        }
    }
}

impl Latency {
    pub(crate) fn run(&self) -> Result<Value> {
        let start = Instant::now();
        let counted_from = Duration::from_secs(self.warm_up_seconds + 1);
        let count = self.rate * (self.warm_up_seconds + self.seconds);
        let context = Acknowledged {
            start,
            counted_from,
            taken: Arc::new(Mutex::new(histogram()?)),
        };
        let producer: ThreadedProducer<Acknowledged> = self
            .target
            .config(&[("acks", "all"), ("linger.ms", "0")])
            .create_with_context(context.clone())?;
        producer.client().fetch_metadata(Some(&self.target.topic), SILENCE_MAX)?;
        let consumer: BaseConsumer = self
            .target
            .config(&[
                ("group.id", "unused"),
                ("enable.auto.commit", "false"),
                ("fetch.wait.max.ms", "500"),
            ])
            .create()?;
        let mut assignment = TopicPartitionList::new();
        let (_, end) = consumer.fetch_watermarks(&self.target.topic, 0, SILENCE_MAX)?;
        assignment.add_partition_offset(&self.target.topic, 0, Offset::Offset(end))?;
        consumer.assign(&assignment)?;
        let reader = std::thread::spawn(move || read(&consumer, start, counted_from, count));
        self.send(&producer, start, count)?;
        producer.flush(SILENCE_MAX)?;
        let Ok(read) = reader.join() else { bail!("the reader failed") };
        let delivery = context.taken.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(json!({"delivery_us": percentiles(&delivery), "end_to_end_us": percentiles(&read?)}))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "records at a fixed rate wait for the clock and for nothing else"
    )]
    fn send(&self, producer: &ThreadedProducer<Acknowledged>, start: Instant, count: u64) -> Result<()> {
        let mut value = vec![b'x'; self.size.max(STAMP_BYTES)];
        for number in 0..count {
            // A second for the reader to take its place.
            let due = Duration::from_secs(1) + Duration::from_nanos(number * 1_000_000_000 / self.rate);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            let sent = start.elapsed();
            value[..STAMP_BYTES].copy_from_slice(&(sent.as_nanos() as u64).to_be_bytes());
            let record = BaseRecord::<(), [u8], Box<Duration>>::with_opaque_to(&self.target.topic, Box::new(sent)).partition(0);
            if let Err((error, _)) = producer.send(record.payload(&value)) {
                return Err(error.into());
            }
        }
        Ok(())
    }
}

fn read(consumer: &BaseConsumer, start: Instant, counted_from: Duration, count: u64) -> Result<Histogram<u64>> {
    let mut taken = histogram()?;
    for number in 0..count {
        let Some(message) = consumer.poll(SILENCE_MAX) else {
            bail!("{number} of {count} records came");
        };
        let message = message?;
        let now = start.elapsed();
        let Some(stamp) = message.payload().and_then(|value| value.first_chunk::<STAMP_BYTES>()) else {
            bail!("a record without its time");
        };
        let sent = Duration::from_nanos(u64::from_be_bytes(*stamp));
        if sent >= counted_from {
            taken.saturating_record(now.saturating_sub(sent).as_micros() as u64);
        }
    }
    Ok(taken)
}

/// Of microseconds, up to a minute. It has to know: what is beyond counts as the most that it can hold.
fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000, 3)?)
}

fn percentiles(taken: &Histogram<u64>) -> Value {
    json!({"p50": taken.value_at_quantile(0.5), "p99": taken.value_at_quantile(0.99), "p999": taken.value_at_quantile(0.999), "n": taken.len()})
}
