//! `dohle dump-log`: prints the files of a log, as Kafka's DumpLogSegments does, and tells what does not fit together.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::arguments::run_tool;
use crate::output::stdout;

mod batch_file;
mod findings;
mod indexes;
mod segment;

use findings::Findings;

/// Print log segments and their indexes.
#[derive(Debug, Parser)]
#[command(name = "dohle dump-log", version, arg_required_else_help = true)]
struct DumpArgs {
    /// The files: .log, .index, .timeindex, .txnindex, .snapshot, .checkpoint
    #[arg(long, value_name = "FILE,...", value_delimiter = ',', required = true)]
    files: Vec<PathBuf>,
    /// Print the records with their keys and values
    #[arg(long)]
    print_data_log: bool,
    /// Print the records without their content
    #[arg(long)]
    deep_iteration: bool,
    /// Leave out what is not key or value of a record
    #[arg(long)]
    skip_record_metadata: bool,
    /// Only the batches in this many bytes of each segment
    #[arg(long, value_name = "BYTES", default_value_t = i32::MAX as u64, hide_default_value = true)]
    max_bytes: u64,
    /// Accepted for compatibility: batches have no limit of their own here
    #[arg(long, value_name = "BYTES")]
    max_message_size: Option<u64>,
    /// Check indexes the way a start does, without printing them
    #[arg(long)]
    index_sanity_check: bool,
    /// Compare indexes with the log without printing them
    #[arg(long)]
    verify_index_only: bool,
}

pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    run_tool(arguments, dump)
}

fn dump(args: &DumpArgs) -> anyhow::Result<ExitCode> {
    let mut out = stdout();
    let mut findings = Findings::default();
    for file in &args.files {
        writeln!(out, "Dumping {}", file.display())?;
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("log" | "checkpoint") => segment::dump(file, args, &mut findings, &mut out)?,
            Some("index") => indexes::dump_offset_index(file, args, &mut findings, &mut out)?,
            Some("timeindex") => indexes::dump_time_index(file, args, &mut findings, &mut out)?,
            Some("txnindex") => indexes::dump_txn_index(file, &mut out)?,
            Some("snapshot") => indexes::dump_producer_snapshot(file, &mut out)?,
            _ => eprintln!("Ignoring unknown file {}", file.display()),
        }
    }
    out.flush()?;
    findings.report();
    Ok(ExitCode::SUCCESS)
}

/// The offset that the name of a segment's file begins with.
fn base_offset(file: &Path) -> anyhow::Result<i64> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let digits = name.split('.').next().unwrap_or_default();
    digits
        .parse()
        .map_err(|_| anyhow::anyhow!("{} does not begin with an offset, so it is no file of a log", file.display()))
}

/// The log that an index belongs to.
fn log_beside(index: &Path) -> PathBuf {
    index.with_extension("log")
}

#[cfg(test)]
mod tests;
