//! The list of tools.

use std::ffi::OsString;
use std::fmt::Write;
use std::process::ExitCode;

use crate::commands;

pub(crate) struct Tool {
    /// Kafka's script without `kafka-` and `.sh`.
    pub(crate) name: &'static str,
    about: &'static str,
    run: fn(&[OsString]) -> ExitCode,
}

impl Tool {
    pub(crate) fn run(&self, arguments: &[OsString]) -> ExitCode {
        (self.run)(arguments)
    }
}

pub(crate) const TOOLS: &[Tool] = &[
    Tool {
        name: "topics",
        about: "create, list, describe, alter and delete topics",
        run: commands::topics::run,
    },
    Tool {
        name: "console-producer",
        about: "send lines of standard input to a topic",
        run: commands::console_producer::run,
    },
    Tool {
        name: "console-consumer",
        about: "print the records of a topic",
        run: commands::console_consumer::run,
    },
    Tool {
        name: "consumer-groups",
        about: "list, describe, delete consumer groups, reset their offsets",
        run: commands::consumer_groups::run,
    },
    Tool {
        name: "configs",
        about: "describe and alter configurations of topics and brokers",
        run: commands::configs::run,
    },
    Tool {
        name: "get-offsets",
        about: "print offsets of partitions, by time",
        run: commands::get_offsets::run,
    },
    Tool {
        name: "delete-records",
        about: "delete the records below given offsets",
        run: commands::delete_records::run,
    },
    Tool {
        name: "log-dirs",
        about: "describe the log directories of brokers",
        run: commands::log_dirs::run,
    },
    Tool {
        name: "dump-log",
        about: "print log segments and their indexes, offline",
        run: commands::dump_log::run,
    },
    Tool {
        name: "cluster",
        about: "print the cluster id or its endpoints, unregister a broker",
        run: commands::cluster::run,
    },
    Tool {
        name: "broker-api-versions",
        about: "print what each broker speaks",
        run: commands::broker_api_versions::run,
    },
    Tool {
        name: "metadata-quorum",
        about: "describe the metadata quorum, add and remove controllers",
        run: commands::metadata_quorum::run,
    },
    Tool {
        name: "leader-election",
        about: "elect preferred or, where none is in sync, other leaders",
        run: commands::leader_election::run,
    },
    Tool {
        name: "reassign-partitions",
        about: "move replicas between brokers",
        run: commands::reassign_partitions::run,
    },
    Tool {
        name: "producer-perf-test",
        about: "measure producing",
        run: commands::producer_perf_test::run,
    },
    Tool {
        name: "consumer-perf-test",
        about: "measure consuming",
        run: commands::consumer_perf_test::run,
    },
    Tool {
        name: "storage",
        about: "format and inspect log directories, make ids",
        run: commands::storage::run,
    },
    Tool {
        name: "dev",
        about: "run a cluster of several nodes on this machine",
        run: commands::dev::run,
    },
    Tool {
        name: "sim",
        about: "replay a simulated run by its seed",
        run: commands::sim::run,
    },
    Tool {
        name: "server-stop",
        about: "stop the servers on this machine",
        run: commands::server_stop::run,
    },
];

pub(crate) fn overview() -> String {
    let mut text = String::from("Usage: dohle TOOL [OPTIONS]        (TOOL --help tells the options)\n\n");
    let mut line = |name: &str, about: &str| writeln!(text, "  {name:<22}{about}").expect("a string takes all that is written");
    line("start, server-start", "run a node: dohle start [server.properties]");
    line("rest start", "run the REST proxy alone: dohle rest start [kafka-rest.properties]");
    for tool in TOOLS {
        line(tool.name, tool.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_explains_itself_and_refuses_what_it_does_not_know() {
        for tool in TOOLS {
            let exit = |argument: &str| format!("{:?}", tool.run(&[argument.into()]));
            assert_eq!(exit("--help"), format!("{:?}", ExitCode::SUCCESS), "{}", tool.name);
            assert_eq!(exit("--no-such-flag"), format!("{:?}", ExitCode::FAILURE), "{}", tool.name);
            assert!(overview().contains(tool.name) && overview().contains(tool.about));
        }
    }
}
