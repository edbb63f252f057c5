//! The least that a broker can do, as a yardstick for the bench: one topic with one partition, one file.
//!
//! It checks the checksum of a batch, gives it its offset and writes it with one call; it serves fetches with one read and one vectored write, and
//! wakes those that wait. It validates nothing, indexes nothing on disk, knows no groups, answers requests of a connection one after the other, and
//! forgets everything at its end. Whoever looks for a broker is in the wrong folder.
//!
//! `dohle-floor ADDRESS FILE [sink]`; a sink does not even write, which leaves the client's own ceiling.

mod answers;
mod connection;
mod log;

use anyhow::{Context, Result};
use std::sync::Arc;
use tokio::net::TcpListener;

use crate::log::Log;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().context("usage: dohle-floor ADDRESS FILE [sink]")?;
    let file = arguments.next().context("usage: dohle-floor ADDRESS FILE [sink]")?;
    let is_sink = arguments.next().is_some_and(|word| word == "sink");
    let log = Arc::new(Log::create(file.as_ref(), is_sink)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                if let Err(error) = connection::serve(socket, &log).await {
                    eprintln!("connection: {error:#}");
                }
            });
        }
    })
}
