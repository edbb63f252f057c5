//! The clients of the bench: each does one thing to one broker, and prints what it took as one line of JSON.
//!
//! `produce`, `consume` and `latency` are librdkafka, so that every broker meets the same client; the others write to sockets, so that
//! the client costs next to nothing.

mod bulk;
mod fanout;
mod groups;
mod latency;
mod overload;
mod requests;
mod topics;
mod wire;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use rdkafka::ClientConfig;

#[derive(Parser)]
#[command(version, about = "Loads a broker, and says what it took.")]
struct Arguments {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Writes records as fast as they are taken.
    Produce(bulk::Produce),
    /// Reads records from the beginning as fast as they come.
    Consume(bulk::Consume),
    /// Writes and reads at a fixed rate, and measures each record's way.
    Latency(latency::Latency),
    /// Keeps small produce requests in flight on many connections.
    Requests(requests::Requests),
    /// Writes to every partition of a topic with one request, again and again.
    Fanout(fanout::Fanout),
    /// Offers far more than can be served, on hundreds of connections.
    Overload(overload::Overload),
    /// Creates or deletes a topic, and waits until all its partitions answer.
    Topic(topics::Topic),
    /// Has all members of a group join again, and waits for their assignments.
    Rebalance(groups::Rebalance),
    /// Commits offsets of many groups, or reads them.
    Offsets(groups::Offsets),
    /// Keeps one commit of an offset in flight on each of many connections.
    Commits(groups::Commits),
}

/// Whom to load, and with which settings of librdkafka.
#[derive(Args)]
struct Target {
    #[arg(long)]
    bootstrap_server: String,
    #[arg(long)]
    topic: String,
    /// `key=value`, any number of times.
    #[arg(long = "set")]
    settings: Vec<String>,
}

impl Target {
    fn config(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_server);
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in self.settings.iter().filter_map(|setting| setting.split_once('=')) {
            config.set(key, value);
        }
        config
    }
}

fn main() -> Result<()> {
    let report = match Arguments::parse().load {
        Load::Produce(produce) => produce.run()?,
        Load::Consume(consume) => consume.run()?,
        Load::Latency(latency) => latency.run()?,
        Load::Requests(requests) => requests.run()?,
        Load::Fanout(fanout) => fanout.run()?,
        Load::Overload(overload) => overload.run()?,
        Load::Topic(topic) => topic.run()?,
        Load::Rebalance(rebalance) => rebalance.run()?,
        Load::Offsets(offsets) => offsets.run()?,
        Load::Commits(commits) => commits.run()?,
    };
    println!("{report}");
    Ok(())
}
