//! What every handler and every background task of one broker shares.

/// One broker, from the point of view of a handler.
pub(crate) struct BrokerState {
}
