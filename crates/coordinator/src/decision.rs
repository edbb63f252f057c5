//! What the machine asks of its shell.

use dohle_protocol::coordinator_records::GroupRecord;

use crate::request::GroupResponse;

/// Chosen by the shell, one per request; names the reply, which may come much later.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Ord, PartialOrd, Debug)]
pub struct ReplyToken(pub u64);

/// To be carried out once everything that was appended so far is committed.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Reply { token: ReplyToken, response: GroupResponse },
}

/// Facts for the log, to be appended as one batch, and what follows once they are committed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decision {
    pub records: Vec<GroupRecord>,
    pub effects: Vec<Effect>,
}
