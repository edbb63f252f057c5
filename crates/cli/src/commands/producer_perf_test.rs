//! `dohle producer-perf-test`: how fast records can be sent, and how long each takes.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Parser;
use dohle_client::producer::Delivery;
use dohle_client::{Producer, ProducerConfig, ProducerRecord};
use tokio::sync::mpsc;

use crate::arguments::{run_tool, usage};
use crate::connect::{block_on, properties_of};
use crate::limits::DELIVERIES_PENDING_MAX;

mod payload;
mod stats;

use payload::Payload;
use stats::Stats;

/// Measure the performance of producing.
#[derive(Debug, Parser)]
#[command(name = "dohle producer-perf-test", version, arg_required_else_help = true)]
struct PerfArgs {
    /// The server(s) to connect to; wins over bootstrap.servers among the properties
    #[arg(long, visible_alias = "broker-list", value_name = "HOST:PORT,...")]
    bootstrap_server: Option<String>,
    /// The topic to produce to
    #[arg(long)]
    topic: String,
    /// Records to produce
    #[arg(long, value_name = "COUNT")]
    num_records: u64,
    /// Bytes of each record, at random
    #[arg(long, value_name = "BYTES")]
    record_size: Option<usize>,
    /// File with payloads, of which each record is one at random
    #[arg(long, value_name = "FILE")]
    payload_file: Option<PathBuf>,
    /// What stands between the payloads of the file; a new line if not given
    #[arg(long, value_name = "TEXT", default_value = "\\n", hide_default_value = true)]
    payload_delimiter: String,
    /// The payload is a number that counts up
    #[arg(long)]
    payload_monotonic: bool,
    /// Records per second, approximately; -1 for as many as possible
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    throughput: f64,
    /// Settings of the producer
    #[arg(long, visible_alias = "command-property", value_name = "KEY=VALUE", num_args = 1..)]
    producer_props: Vec<String>,
    /// Property file with settings of the producer
    #[arg(long = "command-config", visible_alias = "producer.config", value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// How often to print what was sent since the last time
    #[arg(long, value_name = "MS", default_value_t = 5000)]
    reporting_interval: u64,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, perf)
}

fn perf(args: &PerfArgs) -> anyhow::Result<ExitCode> {
    let kinds = [args.record_size.is_some(), args.payload_file.is_some(), args.payload_monotonic];
    if kinds.iter().filter(|&&given| given).count() != 1 {
        return usage("Exactly one of --record-size, --payload-file or --payload-monotonic is required");
    }
    if args.num_records == 0 || args.record_size == Some(0) {
        return usage("--num-records and --record-size should be greater than zero");
    }
    let config = producer_config(args)?;
    let payload = match (&args.payload_file, args.record_size) {
        (Some(file), _) => Payload::from_file(file, &args.payload_delimiter)?,
        (None, Some(bytes)) => Payload::random(bytes),
        (None, None) => Payload::Monotonic,
    };
    block_on(async {
        let producer = Producer::connect(config).await?;
        let (outcomes, queue) = mpsc::channel(DELIVERIES_PENDING_MAX);
        let collector = tokio::spawn(collect(queue, Stats::new(Duration::from_millis(args.reporting_interval))));
        send(&producer, args, payload, outcomes).await?;
        producer.close().await;
        let stats = collector.await??;
        writeln!(std::io::stdout(), "{}", stats.total())?;
        Ok(ExitCode::SUCCESS)
    })
}

fn producer_config(args: &PerfArgs) -> anyhow::Result<ProducerConfig> {
    let mut properties = properties_of(args.command_config.as_ref())?;
    properties.add_pairs(&args.producer_props)?;
    match &args.bootstrap_server {
        Some(servers) => properties.set("bootstrap.servers", servers.as_str()),
        None => properties.set_default("bootstrap.servers", "localhost:9092"),
    }
    properties.set_default("client.id", "perf-producer-client");
    Ok(ProducerConfig::from_properties(&properties)?)
}

/// A record on its way.
struct Sent {
    at: Instant,
    bytes: usize,
    delivery: Delivery,
}

async fn send(producer: &Producer, args: &PerfArgs, mut payload: Payload, outcomes: mpsc::Sender<Sent>) -> anyhow::Result<()> {
    let topic: std::sync::Arc<str> = args.topic.as_str().into();
    let start = Instant::now();
    for index in 0..args.num_records {
        let value: Bytes = payload.next(index);
        let (bytes, at) = (value.len(), Instant::now());
        let delivery = producer.send(ProducerRecord::new(topic.clone(), None, Some(value))).await?;
        if outcomes.send(Sent { at, bytes, delivery }).await.is_err() {
            return Ok(());
        }
        if args.throughput > 0.0 {
            // When the next record is due; a sleep shorter than a millisecond would only cost.
            let due = Duration::from_secs_f64((index + 1) as f64 / args.throughput);
            if let Some(early) = due.checked_sub(start.elapsed()).filter(|early| *early >= Duration::from_millis(1)) {
                tokio::time::sleep(early).await;
            }
        }
    }
    Ok(())
}

async fn collect(mut queue: mpsc::Receiver<Sent>, mut stats: Stats) -> anyhow::Result<Stats> {
    while let Some(sent) = queue.recv().await {
        match sent.delivery.wait().await {
            Ok(_) => {
                let completed = sent.delivery.completed_at().unwrap_or_else(Instant::now);
                if let Some(window) = stats.record(completed.duration_since(sent.at), sent.bytes) {
                    writeln!(std::io::stdout(), "{window}")?;
                }
            }
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(stats)
}
