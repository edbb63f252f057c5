//! Every bound of this crate, in one place.

/// Requests of one connection that may be in the works together.
pub(crate) const IN_FLIGHT_PER_CONNECTION: usize = 64;
