//! One file per API. Each has `pub(crate) async fn handle(broker: &Arc<BrokerState>, ctx: &RequestContext, request: XRequest) -> XResponse`.
//!
//! A handler is polled in the order in which requests arrive, so what it does before its first `await` happens in that order too. Errors
//! are codes in the answer: a handler cannot fail.
