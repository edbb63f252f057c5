//! `dohle configs`: describes and alters configurations of topics and brokers.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use dohle_client::admin::configs::{ConfigChange, ConfigEntry, ConfigSource, Resource};
use dohle_client::{Admin, Properties};
use dohle_protocol::ErrorCode;

use crate::arguments::{run_tool_reporting, usage};
use crate::connect::{ServerArgs, block_on};
use crate::output::stdout;

mod add_config;

use add_config::parse_pairs;

/// Describe and alter the configuration of topics and brokers.
#[derive(Debug, Parser)]
#[command(name = "dohle configs", version, arg_required_else_help = true)]
struct ConfigsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// List the configuration of the entity
    #[arg(long)]
    describe: bool,
    /// Alter the configuration of the entity
    #[arg(long)]
    alter: bool,
    /// With --describe: also what is not set for the entity itself
    #[arg(long)]
    all: bool,
    /// Keys and values to set, for example k1=v1,k2=[v1,v2]
    #[arg(long, value_name = "KEY=VALUE,...", allow_hyphen_values = true)]
    add_config: Option<String>,
    /// Property file with keys and values to set
    #[arg(long, value_name = "FILE")]
    add_config_file: Option<PathBuf>,
    /// Keys to go back to their defaults
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    delete_config: Vec<String>,
    /// topics or brokers
    #[arg(long, value_name = "TYPE")]
    entity_type: Option<String>,
    /// Name of the topic, or id of the broker
    #[arg(long, value_name = "NAME")]
    entity_name: Option<String>,
    /// The default of all brokers
    #[arg(long)]
    entity_default: bool,
    /// Short for --entity-type topics --entity-name TOPIC
    #[arg(long)]
    topic: Option<String>,
    /// Short for --entity-type brokers --entity-name ID
    #[arg(long, value_name = "ID")]
    broker: Option<String>,
    /// Short for --entity-type brokers --entity-default
    #[arg(long)]
    broker_defaults: bool,
}

/// What the flags name.
#[derive(Debug, PartialEq, Eq)]
enum Entity {
    AllTopics,
    Topic(String),
    AllBrokers,
    Broker(i32),
    BrokerDefault,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let all = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    run_tool_reporting(arguments, configs, |error| {
        eprintln!("Error while executing config command with args '{all}'\n{error:#}")
    })
}

fn configs(args: &ConfigsArgs) -> anyhow::Result<ExitCode> {
    if args.describe == args.alter {
        return usage("Command must include exactly one action: --describe, --alter");
    }
    let entity = entity(args)?;
    let changes = changes(args)?;
    if args.alter && changes.is_empty() {
        return usage("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter");
    }
    block_on(async {
        let admin = args.server.admin().await?;
        let mut out = stdout();
        match args.alter {
            true => alter(&admin, entity, &changes, &mut out).await?,
            false => describe(&admin, entity, args.all, &mut out).await?,
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    })
}

fn entity(args: &ConfigsArgs) -> anyhow::Result<Entity> {
    let named = [
        args.topic.is_some(),
        args.broker.is_some(),
        args.broker_defaults,
        args.entity_type.is_some(),
    ];
    if named.iter().filter(|&&given| given).count() != 1 {
        return usage("Exactly one of --topic, --broker, --broker-defaults and --entity-type is required");
    }
    if args.entity_type.is_none() && (args.entity_name.is_some() || args.entity_default) {
        return usage("--entity-name and --entity-default go with --entity-type");
    }
    let broker = |id: &str| match id.parse::<i32>() {
        Ok(id) => Ok(Entity::Broker(id)),
        Err(_) => usage(format!(
            "The entity name for brokers must be a valid integer broker id, but it is: {id}"
        )),
    };
    match (&args.topic, &args.broker, args.entity_type.as_deref(), &args.entity_name) {
        (Some(topic), ..) => Ok(Entity::Topic(topic.clone())),
        (_, Some(id), ..) => broker(id),
        (_, _, Some("topics"), Some(name)) => Ok(Entity::Topic(name.clone())),
        (_, _, Some("topics"), None) if args.entity_default => usage("Topics have no default entity"),
        (_, _, Some("topics"), None) => Ok(Entity::AllTopics),
        (_, _, Some("brokers"), Some(id)) => broker(id),
        (_, _, Some("brokers"), None) if args.entity_default => Ok(Entity::BrokerDefault),
        (_, _, Some("brokers"), None) => Ok(Entity::AllBrokers),
        (_, _, Some(kind), _) => usage(format!(
            "Invalid entity type {kind}, the entity type must be one of topics, brokers"
        )),
        (_, _, None, _) => Ok(Entity::BrokerDefault),
    }
}

fn changes(args: &ConfigsArgs) -> anyhow::Result<Vec<ConfigChange>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    if let Some(file) = &args.add_config_file {
        let properties = Properties::from_file(file)?;
        pairs.extend(
            properties
                .keys()
                .map(|key| (key.to_owned(), properties.get(key).unwrap_or_default().to_owned())),
        );
    }
    if let Some(text) = &args.add_config {
        pairs.extend(parse_pairs(text)?);
    }
    if let Some((key, _)) = pairs
        .iter()
        .find(|(key, _)| !key.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
    {
        return usage(format!("Invalid character found for config key: {key}"));
    }
    let set = pairs.into_iter().map(|(key, value)| ConfigChange::Set(key, value));
    let deleted = args.delete_config.iter().map(|key| ConfigChange::Delete(key.trim().to_owned()));
    Ok(set.chain(deleted).collect())
}

async fn alter(admin: &Admin, entity: Entity, changes: &[ConfigChange], out: &mut impl Write) -> anyhow::Result<()> {
    let (resource, name) = match entity {
        Entity::Topic(topic) => (Resource::Topic(topic.clone()), format!("config for topic {topic}")),
        Entity::Broker(id) => (Resource::Broker(id), format!("config for broker {id}")),
        Entity::BrokerDefault => (Resource::BrokerDefault, "default config for brokers in the cluster".to_owned()),
        Entity::AllTopics | Entity::AllBrokers => return usage("An entity name must be specified with --alter"),
    };
    admin.alter_configs(&resource, changes).await?;
    writeln!(out, "Completed updating {name}.")?;
    Ok(())
}

async fn describe(admin: &Admin, entity: Entity, all: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let resources: Vec<Resource> = match entity {
        Entity::Topic(topic) => vec![Resource::Topic(topic)],
        Entity::Broker(id) => vec![Resource::Broker(id)],
        Entity::BrokerDefault => vec![Resource::BrokerDefault],
        Entity::AllTopics => admin
            .list_topics()
            .await?
            .into_iter()
            .map(|topic| Resource::Topic(topic.name.to_string()))
            .collect(),
        Entity::AllBrokers => {
            let metadata = admin.cluster().metadata();
            metadata
                .brokers
                .keys()
                .map(|&id| Resource::Broker(id))
                .chain([Resource::BrokerDefault])
                .collect()
        }
    };
    for resource in resources {
        let entries = match admin.describe_configs(std::slice::from_ref(&resource), true).await {
            Ok(mut described) => described.pop().unwrap_or_default(),
            Err(error) if error.code() == Some(ErrorCode::UnknownTopicOrPartition) => {
                let Resource::Topic(topic) = resource else {
                    return Err(error.into());
                };
                writeln!(out, "The topic '{topic}' doesn't exist and doesn't have dynamic config.")?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        write_configs(out, &resource, entries, all)?;
    }
    Ok(())
}

fn write_configs(out: &mut impl Write, resource: &Resource, mut entries: Vec<ConfigEntry>, all: bool) -> std::io::Result<()> {
    let (name, own_source) = match resource {
        Resource::Topic(topic) => (format!("configs for topic {topic}"), ConfigSource::Topic),
        Resource::Broker(id) => (format!("configs for broker {id}"), ConfigSource::Broker),
        Resource::BrokerDefault => ("configs for brokers in the cluster".to_owned(), ConfigSource::BrokerDefault),
    };
    let scope = match resource {
        _ if all => "All",
        Resource::BrokerDefault => "Default",
        _ => "Dynamic",
    };
    writeln!(out, "{scope} {name} are:")?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    for entry in entries.iter().filter(|entry| all || entry.source == own_source) {
        let synonyms = entry
            .synonyms
            .iter()
            .map(|s| format!("{}:{}={}", s.source.name(), s.name, text(&s.value)));
        let synonyms = synonyms.collect::<Vec<_>>().join(", ");
        writeln!(
            out,
            "  {}={} sensitive={} synonyms={{{synonyms}}}",
            entry.name,
            text(&entry.value),
            entry.is_sensitive
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dohle_client::admin::configs::ConfigSynonym;

    use super::*;

    fn named(arguments: &[&str]) -> Result<Entity, String> {
        let args = ConfigsArgs::try_parse_from([&["configs", "--describe"], arguments].concat()).map_err(|error| error.to_string())?;
        entity(&args).map_err(|error| error.to_string())
    }

    #[test]
    fn an_entity_is_named_in_the_short_and_in_the_long_form() {
        assert_eq!(named(&["--topic", "t"]), Ok(Entity::Topic("t".into())));
        assert_eq!(
            named(&["--entity-type", "topics", "--entity-name", "t"]),
            Ok(Entity::Topic("t".into()))
        );
        assert_eq!(named(&["--entity-type", "topics"]), Ok(Entity::AllTopics));
        assert_eq!(named(&["--broker", "1"]), Ok(Entity::Broker(1)));
        assert_eq!(named(&["--entity-type", "brokers", "--entity-name", "1"]), Ok(Entity::Broker(1)));
        assert_eq!(named(&["--entity-type", "brokers"]), Ok(Entity::AllBrokers));
        assert_eq!(named(&["--entity-type", "brokers", "--entity-default"]), Ok(Entity::BrokerDefault));
        assert_eq!(named(&["--broker-defaults"]), Ok(Entity::BrokerDefault));
        for wrong in [
            &["--entity-type", "nope"][..],
            &[],
            &["--topic", "t", "--broker", "1"],
            &["--broker", "x"],
            &["--entity-name", "t"],
        ] {
            assert!(named(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn only_what_is_set_for_the_entity_is_shown_unless_all_is_asked_for() {
        let entry = |name: &str, source| ConfigEntry {
            name: name.into(),
            value: Some("1".into()),
            source,
            is_sensitive: false,
            is_read_only: false,
            synonyms: vec![ConfigSynonym {
                name: format!("log.{name}"),
                value: None,
                source,
            }],
        };
        let entries = vec![entry("b", ConfigSource::Default), entry("a", ConfigSource::Topic)];
        let printed = |all| {
            let mut out = Vec::new();
            write_configs(&mut out, &Resource::Topic("t".into()), entries.clone(), all).unwrap();
            String::from_utf8(out).unwrap()
        };
        let own = "  a=1 sensitive=false synonyms={DYNAMIC_TOPIC_CONFIG:log.a=null}\n";
        assert_eq!(printed(false), format!("Dynamic configs for topic t are:\n{own}"));
        assert_eq!(
            printed(true),
            format!("All configs for topic t are:\n{own}  b=1 sensitive=false synonyms={{DEFAULT_CONFIG:log.b=null}}\n")
        );
    }
}
