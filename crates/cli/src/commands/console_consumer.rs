//! `dohle console-consumer`: prints records of a topic until told to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dohle_client::consumer::StartAt;
use dohle_client::{Consumer, ConsumerConfig, ConsumerRecord, Properties, TopicPartition};
use rand::RngExt;
use tokio::time::Instant;

use crate::arguments::{UsageError, run_tool, usage};
use crate::connect::{block_on, properties_of};
use crate::output::{is_broken_pipe, stdout};
use crate::stop_signal::stop_signal;
use crate::topic_pattern::TopicPattern;

mod formatter;

use formatter::Formatter;

/// How long the last commit and the leave of the group may take.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(30);

/// Read data from topics and print it to standard output.
#[derive(Debug, Parser)]
#[command(name = "dohle console-consumer", version, arg_required_else_help = true)]
struct ConsumerArgs {
    /// The topic to consume from
    #[arg(long)]
    topic: Option<String>,
    /// Regular expression of topics to consume from
    #[arg(long, visible_alias = "whitelist", value_name = "REGEX")]
    include: Option<String>,
    /// The partition to consume from, from its end unless --offset says otherwise; all partitions if not given
    #[arg(long)]
    partition: Option<i32>,
    /// The offset to begin with: a number, 'earliest' or 'latest'
    #[arg(long, allow_hyphen_values = true)]
    offset: Option<String>,
    /// The server(s) to connect to
    #[arg(
        long,
        visible_alias = "broker-list",
        value_name = "HOST:PORT,...",
        default_value = "localhost:9092"
    )]
    bootstrap_server: String,
    /// Begin with the earliest record rather than the latest
    #[arg(long)]
    from_beginning: bool,
    /// Exit after this many records
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    max_messages: Option<i64>,
    /// Exit if no record comes for this long
    #[arg(long, value_name = "MS", allow_negative_numbers = true)]
    timeout_ms: Option<i64>,
    /// Skip a record that cannot be printed instead of stopping
    #[arg(long)]
    skip_message_on_error: bool,
    /// read_committed or read_uncommitted
    #[arg(long, value_name = "LEVEL")]
    isolation_level: Option<String>,
    /// What is printed: print.timestamp, print.key, print.offset, print.partition, print.epoch, print.headers, print.value (true or
    /// false), key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer
    #[arg(long, visible_alias = "property", value_name = "KEY=VALUE")]
    formatter_property: Vec<String>,
    /// Property file with settings of the formatter
    #[arg(long, value_name = "FILE")]
    formatter_config: Option<PathBuf>,
    /// Kafka's DefaultMessageFormatter or NoOpMessageFormatter; for __consumer_offsets OffsetsMessageFormatter or
    /// GroupMetadataMessageFormatter
    #[arg(long, value_name = "CLASS")]
    formatter: Option<String>,
    /// How keys are read: a deserializer of Kafka's for strings, bytes or numbers
    #[arg(long, value_name = "CLASS")]
    key_deserializer: Option<String>,
    /// How values are read
    #[arg(long, value_name = "CLASS")]
    value_deserializer: Option<String>,
    /// A setting of the consumer
    #[arg(long, visible_alias = "command-property", value_name = "KEY=VALUE")]
    consumer_property: Vec<String>,
    /// Property file with settings of the consumer
    #[arg(long = "command-config", visible_alias = "consumer.config", value_name = "FILE")]
    command_config: Option<PathBuf>,
    /// The consumer group to join; one of its own, whose offsets are not committed, if it is not given
    #[arg(long, value_name = "ID")]
    group: Option<String>,
    /// Accepted for compatibility
    #[arg(long, hide = true)]
    enable_systest_events: bool,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, consume)
}

fn consume(args: &ConsumerArgs) -> anyhow::Result<ExitCode> {
    check(args)?;
    let config = consumer_config(args)?;
    let formatter = formatter(args)?;
    let start = start_at(args, &config)?;
    block_on(async {
        let mut consumer = Consumer::connect(config).await?;
        let mut printed = 0;
        let outcome = tokio::select! {
            outcome = print_records(&mut consumer, args, start, &formatter, &mut printed) => outcome,
            code = stop_signal() => code,
        };
        let outcome = match outcome {
            Err(error) if is_broken_pipe(&error) => {
                // Standard error may be closed as well.
                let _ = writeln!(std::io::stderr(), "Unable to write to standard out, closing consumer.");
                Ok(ExitCode::SUCCESS)
            }
            outcome => outcome,
        };
        // Who wants to stop at once signals again.
        tokio::select! {
            closed = consumer.close(CLOSE_WAIT_MAX) => if let Err(error) = closed {
                let _ = writeln!(std::io::stderr(), "The group was not left in order: {error}");
            },
            _ = stop_signal() => {}
        }
        let _ = writeln!(std::io::stderr(), "Processed a total of {printed} messages");
        outcome
    })
}

fn check(args: &ConsumerArgs) -> anyhow::Result<()> {
    if args.topic.is_some() == args.include.is_some() {
        return usage("Exactly one of the following arguments is required: [topic], [include]");
    }
    if args.partition.is_some() && args.topic.is_none() {
        return usage("The topic is required when partition is specified.");
    }
    if args.partition.is_some() && args.from_beginning && args.offset.is_some() {
        return usage("Options from-beginning and offset cannot be specified together.");
    }
    if args.partition.is_none() && args.offset.is_some() {
        return usage("The partition is required when offset is specified.");
    }
    Ok(())
}

fn consumer_config(args: &ConsumerArgs) -> anyhow::Result<ConsumerConfig> {
    let mut properties = properties_of(args.command_config.as_ref())?;
    let in_file = properties.get("group.id").map(str::to_owned);
    properties.add_pairs(&args.consumer_property)?;
    set_group(args, in_file, &mut properties)?;
    match properties.get("auto.offset.reset") {
        Some(reset) if args.from_beginning && reset != "earliest" => {
            anyhow::bail!("Can't simultaneously specify --from-beginning and 'auto.offset.reset={reset}', please remove one option");
        }
        Some(_) => {}
        None => properties.set("auto.offset.reset", if args.from_beginning { "earliest" } else { "latest" }),
    }
    properties.set("bootstrap.servers", args.bootstrap_server.as_str());
    properties.set_default("client.id", "console-consumer");
    if let Some(level) = &args.isolation_level {
        properties.set("isolation.level", level.as_str());
    }
    Ok(ConsumerConfig::from_properties(&properties)?)
}

/// A group may be given in several places, if it is the same. One that was not given is used this once: nobody needs its offsets.
fn set_group(args: &ConsumerArgs, in_file: Option<String>, properties: &mut Properties) -> anyhow::Result<()> {
    let as_property = properties.get("group.id").map(str::to_owned);
    let given: BTreeSet<String> = [args.group.clone(), in_file, as_property].into_iter().flatten().collect();
    if given.len() > 1 {
        let ids: Vec<String> = given.iter().map(|id| format!("'{id}'")).collect();
        return usage(format!(
            "The group ids provided in different places (directly using '--group', via '--consumer-property', or via '--command-config') do \
             not match. Detected group ids: {}",
            ids.join(", ")
        ));
    }
    if !given.is_empty() && args.partition.is_some() {
        return usage("Options group and partition cannot be specified together.");
    }
    match given.into_iter().next() {
        Some(id) => properties.set("group.id", id),
        None => {
            properties.set("group.id", format!("console-consumer-{}", rand::rng().random_range(0..100_000)));
            properties.set_default("enable.auto.commit", "false");
        }
    }
    Ok(())
}

fn formatter(args: &ConsumerArgs) -> anyhow::Result<Formatter> {
    let mut properties: Properties = properties_of(args.formatter_config.as_ref())?;
    for (key, class) in [
        ("key.deserializer", &args.key_deserializer),
        ("value.deserializer", &args.value_deserializer),
    ] {
        if let Some(class) = class {
            properties.set(key, class.as_str());
        }
    }
    properties.add_pairs(&args.formatter_property)?;
    Formatter::new(args.formatter.as_deref(), &properties).map_err(|error| UsageError(error.to_string()).into())
}

fn start_at(args: &ConsumerArgs, config: &ConsumerConfig) -> anyhow::Result<StartAt> {
    let default = match config.offset_reset {
        dohle_client::config::OffsetReset::Earliest => StartAt::Earliest,
        _ => StartAt::Latest,
    };
    let Some(offset) = args.offset.as_deref() else { return Ok(default) };
    match offset.to_ascii_lowercase().as_str() {
        "earliest" => Ok(StartAt::Earliest),
        "latest" => Ok(StartAt::Latest),
        number => match number.parse::<i64>() {
            Ok(number) if number >= 0 => Ok(StartAt::Offset(number)),
            _ => usage(format!(
                "The provided offset value '{offset}' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
            )),
        },
    }
}

async fn print_records(
    consumer: &mut Consumer,
    args: &ConsumerArgs,
    start: StartAt,
    formatter: &Formatter,
    printed: &mut u64,
) -> anyhow::Result<ExitCode> {
    let timeout = args.timeout_ms.and_then(|ms| u64::try_from(ms).ok()).map(Duration::from_millis);
    let records_max = args.max_messages.and_then(|count| u64::try_from(count).ok()).unwrap_or(u64::MAX);
    let mut out = stdout();
    let mut last_record = Instant::now();
    begin(consumer, args, start, timeout).await?;
    while *printed < records_max {
        let records = consumer.poll(timeout.unwrap_or(Duration::from_secs(3600))).await?;
        if records.is_empty() {
            if let Some(timeout) = timeout.filter(|&timeout| last_record.elapsed() >= timeout) {
                eprintln!(
                    "Error processing message, terminating consumer process: no message within {} ms",
                    timeout.as_millis()
                );
                break;
            }
            continue;
        }
        last_record = Instant::now();
        let mut rest = records.iter();
        let written = print(&mut rest, args, formatter, records_max, printed, &mut out);
        give_back(consumer, rest)?;
        written?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Takes records off `rest` and prints them, up to the greatest number, or one that cannot be printed.
fn print<'a>(
    rest: &mut impl Iterator<Item = &'a ConsumerRecord>,
    args: &ConsumerArgs,
    formatter: &Formatter,
    records_max: u64,
    printed: &mut u64,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    while *printed < records_max {
        let Some(record) = rest.next() else { break };
        *printed += 1;
        match formatter.write(record, out)? {
            Ok(()) => {}
            Err(error) if args.skip_message_on_error => eprintln!("Error processing message, skipping this message: {error}"),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(out.flush()?)
}

/// What was received and not printed does not count as read: the group's next member begins with it.
fn give_back<'a>(consumer: &mut Consumer, rest: impl Iterator<Item = &'a ConsumerRecord>) -> anyhow::Result<()> {
    let mut firsts: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    for record in rest {
        let tp = TopicPartition {
            topic: record.topic.clone(),
            partition: record.partition,
        };
        firsts.entry(tp).or_insert(record.offset);
    }
    for (tp, offset) in firsts {
        consumer.seek(&tp, StartAt::Offset(offset))?;
    }
    Ok(())
}

/// One partition from where it was told to begin, or the group's share of the topics.
async fn begin(consumer: &mut Consumer, args: &ConsumerArgs, start: StartAt, timeout: Option<Duration>) -> anyhow::Result<()> {
    match (&args.topic, &args.include, args.partition) {
        (Some(topic), _, Some(partition)) => {
            let topic: Arc<str> = Arc::from(topic.as_str());
            // Waits for a topic that does not exist yet; most servers create it on this occasion.
            let wait_max = timeout.unwrap_or(Duration::MAX / 4);
            let metadata = consumer.cluster().wait_for_topic(&topic, true, wait_max).await?;
            let known = metadata.topic(&topic).into_iter().flat_map(|topic| &topic.partitions);
            let exists = known.into_iter().any(|known| known.index == partition);
            anyhow::ensure!(exists, "Topic {topic} has no partition {partition}");
            consumer.assign([(TopicPartition { topic, partition }, start)]);
        }
        (Some(topic), ..) => consumer.subscribe([topic.as_str()])?,
        (None, include, _) => {
            let pattern = TopicPattern::new(include.as_deref().unwrap_or_default())?;
            consumer.subscribe_matching(move |topic| pattern.matches(topic))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(arguments: &[&str]) -> Result<StartAt, String> {
        let args = ConsumerArgs::try_parse_from([&["consumer"], arguments].concat()).map_err(|error| error.to_string())?;
        let checked = check(&args).and_then(|()| start_at(&args, &consumer_config(&args)?));
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn where_to_begin() {
        assert_eq!(checked(&["--topic", "t"]), Ok(StartAt::Latest));
        assert_eq!(checked(&["--topic", "t", "--from-beginning"]), Ok(StartAt::Earliest));
        assert_eq!(
            checked(&["--topic", "t", "--partition", "0", "--offset", "earliest"]),
            Ok(StartAt::Earliest)
        );
        assert_eq!(
            checked(&["--topic", "t", "--partition", "0", "--offset", "7"]),
            Ok(StartAt::Offset(7))
        );
    }

    #[test]
    fn options_that_exclude_each_other() {
        for (arguments, part) in [
            (&["--from-beginning"][..], "[topic], [include]"),
            (&["--topic", "t", "--include", "t"], "[topic], [include]"),
            (&["--topic", "t", "--offset", "1"], "partition is required"),
            (&["--include", "t", "--partition", "1"], "topic is required"),
            (&["--topic", "t", "--partition", "0", "--offset", "-5"], "'-5' is incorrect"),
            (&["--topic", "t", "--partition", "0", "--offset", "bad"], "'bad' is incorrect"),
            (
                &["--topic", "t", "--group", "g", "--partition", "0"],
                "group and partition cannot be specified together",
            ),
            (
                &["--topic", "t", "--group", "g", "--consumer-property", "group.id=h"],
                "Detected group ids: 'g', 'h'",
            ),
            (
                &[
                    "--topic",
                    "t",
                    "--from-beginning",
                    "--consumer-property",
                    "auto.offset.reset=latest",
                ],
                "please remove one",
            ),
        ] {
            let error = checked(arguments).unwrap_err();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }

    fn group_of(arguments: &[&str]) -> (String, bool) {
        let args = ConsumerArgs::try_parse_from([&["consumer", "--topic", "t"], arguments].concat()).unwrap();
        let group = consumer_config(&args).unwrap().group.unwrap();
        (group.id, group.auto_commit_interval.is_some())
    }

    #[test]
    fn a_group_that_was_not_given_is_random_and_commits_nothing() {
        let (id, commits) = group_of(&[]);
        assert!(id.strip_prefix("console-consumer-").unwrap().parse::<u32>().unwrap() < 100_000);
        assert!(!commits);
        assert!(group_of(&["--consumer-property", "enable.auto.commit=true"]).1);
        assert_eq!(group_of(&["--group", "g"]), ("g".to_owned(), true));
        assert_eq!(
            group_of(&[
                "--group",
                "g",
                "--consumer-property",
                "group.id=g",
                "--consumer-property",
                "enable.auto.commit=false"
            ]),
            ("g".to_owned(), false)
        );
    }
}
