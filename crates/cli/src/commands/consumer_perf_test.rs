//! `dohle consumer-perf-test`: how fast records can be read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use dohle_client::consumer::{Offsets, RebalanceListener, StartAt};
use dohle_client::{Admin, Consumer, ConsumerConfig, TopicPartition};

use crate::arguments::{run_tool, usage};
use crate::connect::{block_on, properties_of};
use crate::date_format::format_ms;
use crate::topic_pattern::TopicPattern;

/// How long the last commit and the leave of the group may take.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(30);

const NEW_FIELDS: &str = ", rebalance.time.ms, fetch.time.ms, fetch.MB.sec, fetch.nMsg.sec";

/// Measure the performance of consuming.
#[derive(Debug, Parser)]
#[command(name = "dohle consumer-perf-test", version, arg_required_else_help = true)]
struct PerfArgs {
    /// The server(s) to connect to
    #[arg(
        long,
        visible_alias = "broker-list",
        value_name = "HOST:PORT,...",
        default_value = "localhost:9092"
    )]
    bootstrap_server: String,
    /// The topic to consume from
    #[arg(long)]
    topic: Option<String>,
    /// Regular expression of topics to consume from
    #[arg(long, value_name = "REGEX")]
    include: Option<String>,
    /// Records to consume
    #[arg(long, visible_alias = "messages", value_name = "COUNT")]
    num_records: u64,
    /// Begin at the end of each partition rather than at its beginning
    #[arg(long)]
    from_latest: bool,
    /// Bytes that one request may ask of one partition
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024)]
    fetch_size: u32,
    /// Accepted for compatibility; the system sizes socket buffers
    #[arg(long, value_name = "BYTES")]
    socket_buffer_size: Option<u32>,
    /// How long to wait for a record before giving up
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout: u64,
    /// Print a line for each reporting interval
    #[arg(long)]
    show_detailed_stats: bool,
    /// Length of a reporting interval
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = clap::value_parser!(u64).range(1..))]
    reporting_interval: u64,
    /// Leave out the line with the names of the columns
    #[arg(long)]
    hide_header: bool,
    /// How times are printed (in UTC), in the letters of Java's SimpleDateFormat
    #[arg(long, value_name = "PATTERN", default_value = "yyyy-MM-dd HH:mm:ss:SSS")]
    date_format: String,
    /// A setting of the consumer
    #[arg(long, value_name = "KEY=VALUE")]
    command_property: Vec<String>,
    /// Property file with settings of the consumer
    #[arg(long = "command-config", visible_alias = "consumer.config", value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// The consumer group to join; without it all partitions are read
    #[arg(long, value_name = "ID")]
    group: Option<String>,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, perf)
}

fn perf(args: &PerfArgs) -> anyhow::Result<ExitCode> {
    if args.topic.is_some() == args.include.is_some() {
        return usage("Exactly one of the following arguments is required: [topic], [include]");
    }
    let config = consumer_config(args)?;
    block_on(async {
        if !args.hide_header {
            let first = if args.show_detailed_stats {
                "time, threadId"
            } else {
                "start.time, end.time"
            };
            writeln!(
                io::stdout(),
                "{first}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec{NEW_FIELDS}"
            )?;
        }
        let (start, start_ms) = (Instant::now(), now_ms());
        let rebalances = Rebalances::default();
        let mut consumer = Consumer::connect(config).await?;
        begin(&mut consumer, args, &rebalances).await?;
        let read = consume(&mut consumer, args, &rebalances).await?;
        let (end_ms, elapsed) = (now_ms(), start.elapsed());
        consumer.close(CLOSE_WAIT_MAX).await?;
        if !args.show_detailed_stats {
            let line = summary(&args.date_format, start_ms, end_ms, elapsed, rebalances.total(), read);
            writeln!(io::stdout(), "{line}")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn consumer_config(args: &PerfArgs) -> anyhow::Result<ConsumerConfig> {
    let mut properties = properties_of(args.command_config.as_ref())?;
    properties.add_pairs(&args.command_property)?;
    properties.set("bootstrap.servers", args.bootstrap_server.as_str());
    properties.set("max.partition.fetch.bytes", args.fetch_size.to_string());
    properties.set("auto.offset.reset", if args.from_latest { "latest" } else { "earliest" });
    properties.set_default("client.id", "perf-consumer-client");
    match &args.group {
        Some(group) => properties.set("group.id", group.as_str()),
        // Read without a group: a file that is shared with other tools may name one.
        None => drop(properties.remove("group.id")),
    }
    Ok(ConsumerConfig::from_properties(&properties)?)
}

/// The group's share of the topics, or all partitions of them.
async fn begin(consumer: &mut Consumer, args: &PerfArgs, rebalances: &Rebalances) -> anyhow::Result<()> {
    if args.group.is_some() {
        consumer.set_listener(rebalances.clone());
        match &args.topic {
            Some(topic) => consumer.subscribe([topic.as_str()])?,
            None => {
                let pattern = TopicPattern::new(args.include.as_deref().unwrap_or_default())?;
                consumer.subscribe_matching(move |topic| pattern.matches(topic))?;
            }
        }
        return Ok(());
    }
    let partitions = partitions(consumer, args).await?;
    let start_at = if args.from_latest { StartAt::Latest } else { StartAt::Earliest };
    consumer.assign(partitions.into_iter().map(|tp| (tp, start_at)));
    // What a member of a group spends joining, this consumer spends looking up the partitions.
    rebalances.end();
    Ok(())
}

/// Measures how long rebalances take.
#[derive(Clone, Default)]
struct Rebalances(Arc<Mutex<Spent>>);

struct Spent {
    since: Instant,
    total: Duration,
    in_interval: Duration,
}

impl Default for Spent {
    fn default() -> Spent {
        Spent {
            since: Instant::now(),
            total: Duration::ZERO,
            in_interval: Duration::ZERO,
        }
    }
}

impl Rebalances {
    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut spent = self.spent();
        let duration = spent.since.elapsed();
        spent.total += duration;
        spent.in_interval += duration;
    }

    fn total(&self) -> Duration {
        self.spent().total
    }

    /// What this interval of the report has spent; the next begins.
    fn take_interval(&self) -> Duration {
        std::mem::take(&mut self.spent().in_interval)
    }
}

impl RebalanceListener for Rebalances {
    fn revoked(&mut self, _: &[TopicPartition], _: &mut Offsets) {
        self.spent().since = Instant::now();
    }

    fn assigned(&mut self, _: &[TopicPartition], _: &mut BTreeMap<TopicPartition, StartAt>) {
        self.end();
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    records: u64,
    bytes: u64,
}

impl Amount {
    fn megabytes(self) -> f64 {
        self.bytes as f64 / (1024.0 * 1024.0)
    }
}

async fn consume(consumer: &mut Consumer, args: &PerfArgs, rebalances: &Rebalances) -> anyhow::Result<Amount> {
    let (timeout, interval) = (Duration::from_millis(args.timeout), Duration::from_millis(args.reporting_interval));
    let mut read = Amount::default();
    let mut reported = Amount::default();
    let mut last_record = Instant::now();
    let mut last_report = Instant::now();
    while read.records < args.num_records && last_record.elapsed() <= timeout {
        let records = consumer.poll(Duration::from_millis(100)).await?;
        if records.is_empty() {
            continue;
        }
        last_record = Instant::now();
        read.records += records.len() as u64;
        let bytes = |field: &Option<bytes::Bytes>| field.as_ref().map_or(0, bytes::Bytes::len) as u64;
        read.bytes += records.iter().map(|record| bytes(&record.key) + bytes(&record.value)).sum::<u64>();
        let elapsed = last_report.elapsed();
        if elapsed >= interval {
            let assignment = rebalances.take_interval();
            if args.show_detailed_stats {
                let line = progress(&args.date_format, now_ms(), elapsed, assignment, reported, read);
                writeln!(io::stdout(), "{line}")?;
            }
            last_report = Instant::now();
            reported = read;
        }
    }
    if read.records < args.num_records {
        writeln!(
            io::stdout(),
            "WARNING: Exiting before consuming the expected number of messages: timeout ({} ms) exceeded. You can use the --timeout option \
             to increase the timeout.",
            args.timeout
        )?;
    }
    Ok(read)
}

async fn partitions(consumer: &Consumer, args: &PerfArgs) -> anyhow::Result<Vec<TopicPartition>> {
    let names: Vec<Arc<str>> = match &args.topic {
        Some(topic) => vec![Arc::from(topic.as_str())],
        None => {
            let pattern = TopicPattern::new(args.include.as_deref().unwrap_or_default())?;
            let topics = Admin::new(consumer.cluster().clone()).list_topics().await?;
            topics
                .into_iter()
                .map(|topic| topic.name)
                .filter(|topic| pattern.matches(topic))
                .collect()
        }
    };
    let mut partitions = Vec::new();
    for name in names {
        let metadata = consumer
            .cluster()
            .wait_for_topic(&name, true, Duration::from_millis(args.timeout))
            .await?;
        let indexes = metadata
            .topic(&name)
            .into_iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| partition.index);
        partitions.extend(indexes.map(|index| TopicPartition {
            topic: name.clone(),
            partition: index,
        }));
    }
    Ok(partitions)
}

fn summary(dates: &str, start_ms: i64, end_ms: i64, elapsed: Duration, assigned: Duration, read: Amount) -> String {
    let fetching = elapsed.saturating_sub(assigned).as_secs_f64().max(0.001);
    let seconds = elapsed.as_secs_f64().max(0.001);
    let (megabytes, records) = (read.megabytes(), read.records as f64);
    format!(
        "{}, {}, {megabytes:.4}, {:.4}, {}, {:.4}, {}, {:.0}, {:.4}, {:.4}",
        format_ms(dates, start_ms),
        format_ms(dates, end_ms),
        megabytes / seconds,
        read.records,
        records / seconds,
        assigned.as_millis(),
        fetching * 1000.0,
        megabytes / fetching,
        records / fetching,
    )
}

fn progress(dates: &str, end_ms: i64, elapsed: Duration, assigned: Duration, before: Amount, read: Amount) -> String {
    let fetching = elapsed.saturating_sub(assigned).as_secs_f64();
    let seconds = elapsed.as_secs_f64();
    let megabytes = read.megabytes() - before.megabytes();
    let records = (read.records - before.records) as f64;
    let per_fetching = |amount: f64| if fetching > 0.0 { amount / fetching } else { 0.0 };
    format!(
        "{}, 0, {:.4}, {:.4}, {}, {:.4}, {}, {:.0}, {:.4}, {:.4}",
        format_ms(dates, end_ms),
        read.megabytes(),
        megabytes / seconds,
        read.records,
        records / seconds,
        assigned.as_millis(),
        fetching * 1000.0,
        per_fetching(megabytes),
        per_fetching(records),
    )
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_are_those_of_kafka() {
        let read = Amount {
            records: 50_380,
            bytes: 5_038_000,
        };
        let (elapsed, assigned) = (Duration::from_millis(927), Duration::from_millis(686));
        assert_eq!(
            summary("HH:mm:ss:SSS", 0, 927, elapsed, assigned, read),
            "00:00:00:000, 00:00:00:927, 4.8046, 5.1830, 50380, 54347.3571, 686, 241, 19.9361, 209045.6432"
        );
        let elapsed = Duration::from_millis(719);
        let before = Amount::default();
        assert_eq!(
            progress(
                "HH:mm",
                0,
                elapsed,
                Duration::from_millis(634),
                before,
                Amount { records: 1, bytes: 100 }
            ),
            "00:00, 0, 0.0001, 0.0001, 1, 1.3908, 634, 85, 0.0011, 11.7647"
        );
    }
}
