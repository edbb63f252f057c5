//! `dohle console-producer`: every line of standard input becomes a record. Bytes are kept as they are; a line ends at `\n`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use bytes::Bytes;
use clap::Parser;
use dohle_client::producer::{Delivery, ProduceError};
use dohle_client::{Producer, ProducerConfig, ProducerRecord, Properties};

use crate::arguments::{run_tool, usage};
use crate::connect::{block_on, properties_of};
use crate::limits::DELIVERIES_PENDING_MAX;
use crate::progress::records_line;
use crate::stop_signal::stop_signal;

mod line_reader;
mod line_source;

use line_reader::LineReader;
use line_source::lines_of_stdin;

/// Read data from standard input and publish it to a topic.
#[derive(Debug, Parser)]
#[command(name = "dohle console-producer", version, arg_required_else_help = true)]
struct ProducerArgs {
    /// The topic to produce to
    #[arg(long)]
    topic: String,
    /// The server(s) to connect to
    #[arg(
        long,
        visible_alias = "broker-list",
        value_name = "HOST:PORT,...",
        default_value = "localhost:9092"
    )]
    bootstrap_server: String,
    /// Send one record at a time, each after the last one was acknowledged
    #[arg(long)]
    sync: bool,
    /// none, gzip, snappy, lz4 or zstd; gzip if given without a value
    #[arg(long, value_name = "CODEC", num_args = 0..=1, default_missing_value = "gzip")]
    compression_codec: Option<String>,
    /// Bytes that a batch gathers (batch.size)
    #[arg(long, value_name = "BYTES")]
    batch_size: Option<u32>,
    /// How often a record is sent again before it is given up (retries)
    #[arg(long, value_name = "COUNT")]
    message_send_max_retries: Option<u32>,
    /// Wait before a record is sent again (retry.backoff.ms)
    #[arg(long, value_name = "MS")]
    retry_backoff_ms: Option<u64>,
    /// How long a record may wait for a batch to fill, unless --sync (linger.ms)
    #[arg(long, value_name = "MS")]
    timeout: Option<u64>,
    /// 0, 1 or all (acks)
    #[arg(long, value_name = "ACKS", allow_negative_numbers = true)]
    request_required_acks: Option<String>,
    /// How long to wait for the answer to a request (request.timeout.ms)
    #[arg(long, value_name = "MS")]
    request_timeout_ms: Option<u64>,
    /// How old metadata may get (metadata.max.age.ms)
    #[arg(long, value_name = "MS")]
    metadata_expiry_ms: Option<u64>,
    /// How long to wait for metadata and for room in the buffer (max.block.ms)
    #[arg(long, value_name = "MS")]
    max_block_ms: Option<u64>,
    /// Bytes of records that may wait to be sent (buffer.memory)
    #[arg(long, value_name = "BYTES")]
    max_memory_bytes: Option<u64>,
    /// Older name of --batch-size, which it overrides
    #[arg(long, value_name = "BYTES")]
    max_partition_memory_bytes: Option<u32>,
    /// Accepted for compatibility; the system sizes socket buffers
    #[arg(long, value_name = "BYTES")]
    socket_buffer_size: Option<u32>,
    /// Only Kafka's LineMessageReader is known
    #[arg(long, value_name = "CLASS")]
    line_reader: Option<String>,
    /// How lines are read: parse.key, key.separator (a tab), parse.headers, headers.delimiter (a tab), headers.separator (,),
    /// headers.key.separator (:), null.marker, ignore.error
    #[arg(long, visible_alias = "property", value_name = "KEY=VALUE")]
    reader_property: Vec<String>,
    /// Property file with settings of the line reader
    #[arg(long, value_name = "FILE")]
    reader_config: Option<PathBuf>,
    /// A setting of the producer
    #[arg(long, visible_alias = "command-property", value_name = "KEY=VALUE")]
    producer_property: Vec<String>,
    /// Property file with settings of the producer
    #[arg(long = "command-config", visible_alias = "producer.config", value_name = "FILE")]
    command_config: Option<PathBuf>,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, produce)
}

fn produce(args: &ProducerArgs) -> anyhow::Result<ExitCode> {
    if args
        .line_reader
        .as_deref()
        .is_some_and(|class| !class.ends_with("LineMessageReader"))
    {
        return usage("--line-reader: only LineMessageReader is available");
    }
    let mut reading = properties_of(args.reader_config.as_ref())?;
    reading.add_pairs(&args.reader_property)?;
    let reader = LineReader::new(&reading).context("the line reader cannot be set up")?;
    let config = producer_config(args)?;
    block_on(async {
        let producer = Producer::connect(config).await?;
        let sent = tokio::select! {
            sent = send_lines(&producer, reader, args) => sent,
            code = stop_signal() => code,
        };
        // What was read is delivered; a second signal gives it up.
        tokio::select! {
            () = producer.close() => sent,
            code = stop_signal() => code,
        }
    })
}

fn producer_config(args: &ProducerArgs) -> anyhow::Result<ProducerConfig> {
    let mut properties = properties_of(args.command_config.as_ref())?;
    properties.add_pairs(&args.producer_property)?;
    properties.set("bootstrap.servers", args.bootstrap_server.as_str());
    properties.set_default("client.id", "console-producer");
    if let Some(codec) = &args.compression_codec {
        properties.set("compression.type", codec.as_str());
    }
    merge(&mut properties, "linger.ms", args.timeout, Some(1000));
    merge(&mut properties, "acks", args.request_required_acks.as_deref(), None);
    merge(&mut properties, "request.timeout.ms", args.request_timeout_ms, Some(1500));
    merge(&mut properties, "retries", args.message_send_max_retries, Some(3));
    merge(&mut properties, "retry.backoff.ms", args.retry_backoff_ms, None);
    merge(&mut properties, "buffer.memory", args.max_memory_bytes, None);
    merge(
        &mut properties,
        "batch.size",
        args.max_partition_memory_bytes.or(args.batch_size),
        None,
    );
    merge(&mut properties, "metadata.max.age.ms", args.metadata_expiry_ms, None);
    merge(&mut properties, "max.block.ms", args.max_block_ms, None);
    Ok(ProducerConfig::from_properties(&properties)?)
}

/// A flag that was given wins over a property, which wins over the tool's own default.
fn merge<T: ToString>(properties: &mut Properties, key: &str, given: Option<T>, default: Option<T>) {
    match (given, default) {
        (Some(value), _) => properties.set(key, value.to_string()),
        (None, Some(value)) => properties.set_default(key, value.to_string()),
        (None, None) => {}
    }
}

async fn send_lines(producer: &Producer, reader: LineReader, args: &ProducerArgs) -> anyhow::Result<ExitCode> {
    let topic = args.topic.clone().into();
    let prompt = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut blocks = lines_of_stdin(prompt);
    let mut pending = Pending::default();
    let progress = (!std::io::stdin().is_terminal()).then(|| records_line("sent"));
    let mut line_number = 0_u64;
    while let Some(block) = blocks.recv().await {
        for line in block? {
            line_number += 1;
            let parsed = reader.parse(line, line_number)?;
            let mut record = ProducerRecord::new(std::sync::Arc::clone(&topic), parsed.key, parsed.value);
            record.headers = parsed.headers;
            let sizes = Sizes::of(&record);
            match producer.send(record).await {
                Ok(delivery) if args.sync => drop(delivery.wait().await?),
                Ok(delivery) => pending.add(&args.topic, sizes, delivery).await,
                Err(error) if args.sync => return Err(error.into()),
                Err(error) => report(&args.topic, sizes, &error),
            }
        }
        pending.report_known(&args.topic);
        if let Some(progress) = &progress {
            progress.set_position(line_number);
        }
    }
    producer.flush().await;
    pending.report_known(&args.topic);
    if let Some(progress) = progress {
        progress.finish_and_clear();
    }
    Ok(ExitCode::SUCCESS)
}

/// Sizes of key and value, for the report of a failure.
#[derive(Clone, Copy)]
struct Sizes {
    key: Option<usize>,
    value: Option<usize>,
}

impl Sizes {
    fn of(record: &ProducerRecord) -> Sizes {
        Sizes {
            key: record.key.as_ref().map(Bytes::len),
            value: record.value.as_ref().map(Bytes::len),
        }
    }
}

/// What has been sent and not been looked at.
#[derive(Default)]
struct Pending(VecDeque<(Sizes, Delivery)>);

impl Pending {
    async fn add(&mut self, topic: &str, sizes: Sizes, delivery: Delivery) {
        self.0.push_back((sizes, delivery));
        if self.0.len() >= DELIVERIES_PENDING_MAX {
            self.report_known(topic);
        }
        while self.0.len() >= DELIVERIES_PENDING_MAX {
            let Some((sizes, delivery)) = self.0.pop_front() else { return };
            if let Err(error) = delivery.wait().await {
                report(topic, sizes, &error);
            }
        }
    }

    fn report_known(&mut self, topic: &str) {
        while let Some(outcome) = self.0.front().and_then(|(_, delivery)| delivery.outcome()) {
            let known = self.0.pop_front();
            if let (Err(error), Some((sizes, _))) = (outcome, known) {
                report(topic, sizes, &error);
            }
        }
    }
}

fn report(topic: &str, sizes: Sizes, error: &ProduceError) {
    let size = |size: Option<usize>| size.map_or_else(|| "null".to_owned(), |bytes| format!("{bytes} bytes"));
    // Standard error may be closed as well.
    let _ = writeln!(
        std::io::stderr(),
        "ERROR Error when sending message to topic {topic} with key: {}, value: {} with error: {error}",
        size(sizes.key),
        size(sizes.value)
    );
}
