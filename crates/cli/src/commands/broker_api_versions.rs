//! `dohle broker-api-versions`: what each broker speaks, and what of it these tools use.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use dohle_client::cluster_metadata::Broker;
use dohle_client::server_versions::ServerVersions;
use dohle_protocol::ApiKey;

use crate::arguments::run_tool;
use crate::connect::{ServerArgs, block_on};
use crate::output::stdout;

/// Print the API versions of all brokers.
#[derive(Debug, Parser)]
#[command(name = "dohle broker-api-versions", version)]
struct VersionsArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, |args: &VersionsArgs| {
        block_on(async {
            let admin = args.server.admin().await?;
            let mut out = stdout();
            for (broker, versions) in admin.broker_versions().await?.into_values() {
                match versions {
                    Ok(versions) => writeln!(out, "{} -> {}", name(&broker), describe(&versions))?,
                    Err(error) => writeln!(out, "{} -> ERROR: {error}", name(&broker))?,
                }
            }
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        })
    })
}

fn name(broker: &Broker) -> String {
    let rack = broker.rack.as_deref().unwrap_or("null");
    format!("{}:{} (id: {} rack: {rack} isFenced: false)", broker.host, broker.port, broker.id)
}

fn describe(versions: &ServerVersions) -> String {
    let range = |min: i16, max: i16| if min == max { min.to_string() } else { format!("{min} to {max}") };
    let lines = versions.ranges().map(|(code, min, max)| match ApiKey::from_code(code) {
        Some(api) => {
            let usable = versions
                .newest_common(api)
                .map_or_else(|| "none".to_owned(), |version| version.to_string());
            format!("\t{}({code}): {} [usable: {usable}]", api.name(), range(min, max))
        }
        None => format!("\tUNKNOWN({code}): {}", range(min, max)),
    });
    format!("(\n{}\n)", lines.collect::<Vec<_>>().join(",\n"))
}

#[cfg(test)]
mod tests {
    use dohle_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};

    use super::*;

    #[test]
    fn ranges_are_printed_as_kafka_prints_them() {
        let range = |api_key, min_version, max_version| ApiVersion {
            api_key,
            min_version,
            max_version,
            ..Default::default()
        };
        let response = ApiVersionsResponse {
            api_keys: vec![range(0, 0, 13), range(46, 0, 0), range(999, 0, 1)],
            ..Default::default()
        };
        assert_eq!(
            describe(&ServerVersions::new(&response)),
            "(\n\tProduce(0): 0 to 13 [usable: 13],\n\tListPartitionReassignments(46): 0 [usable: 0],\n\tUNKNOWN(999): 0 to 1\n)"
        );
    }
}
