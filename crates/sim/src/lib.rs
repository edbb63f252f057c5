//! Seeded simulations of the pure machines: a world of clients, a network, a log and a clock, all of them drawn from one number. The same seed
//! gives the same run, to the byte; a seed that fails is a test case that anybody can replay.
//!
//! Must not know: files, sockets, threads (but for running seeds side by side) and real time. Nobody imports it.
//!
//! Start with [`groups`], the first world, [`cluster`], the largest, or [`quorum`], in which real asynchronous code runs; [`queue`] is time, [`random`] is chance, [`trace`] is what happened, [`seeds`] runs many.
//! What is simulated, what is checked and how to replay: `docs/simulation.md`.

pub mod cluster;
pub mod groups;
pub mod mutants;
pub mod outcome;
pub mod queue;
pub mod quorum;
pub mod random;
pub mod seeds;
pub mod trace;
pub mod violation;
