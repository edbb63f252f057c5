//! Clients that share no code with us, against a process of ours: librdkafka through `rdkafka`, and `rskafka` with a codec of its own.

mod groups;
#[path = "../harness/mod.rs"]
mod harness;
mod matrix;
mod partitions;
mod restarts;
mod row;
mod with_rdkafka;
mod with_rskafka;
