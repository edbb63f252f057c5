//! The REST proxy: records and administration over HTTP, as Confluent's REST proxy serves them, without its known faults.
//!
//! It must not know the broker: it is a client of any cluster, in a process of its own or beside a broker in the same one. Nothing that
//! a request holds is trusted, and everything that clients can make grow is bounded ([`limits`]).
//!
//! Start at [`RestServer`] (listeners, connections, the end), then `routes` (every endpoint), any file under `v2` or `v3`, and
//! `instance` with `reader`: a consumer that lives between requests.

mod answer;
mod body;
mod byte_budget;
pub mod config;
mod delivered;
mod error;
mod format;
mod instance;
mod instances;
pub mod limits;
mod media;
mod metrics;
mod offsets;
mod operations;
mod proxy;
mod reader;
mod routes;
mod sent_in_time;
mod server;
mod start;
mod time_text;
mod v2;
mod v3;

pub use config::{RestConfig, RestConfigError};
pub use server::{RestServer, ServeError};
pub use start::main_start;
