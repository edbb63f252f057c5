//! What the nodes of a quorum say to each other, as bytes: our own, versioned, and decoded with no more memory than they have bytes.
//!
//! A request is its kind and version (unsigned varints), a [`Header`] and a message of that kind; a reply is a kind, a version and a
//! message. Whoever cannot or must not answer replies with a [`Refusal`].

pub(crate) mod append;
pub(crate) mod pull;
pub(crate) mod snapshot_chunk;
pub(crate) mod transfer;
pub(crate) mod values;
pub(crate) mod vote;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use dohle_protocol::Message;
use dohle_protocol::wire::{Decoder, Encoder, TaggedFields};

use crate::entry_codec::{EntryCodecError, damaged};

/// The only version so far of each kind.
const VERSION: u32 = 0;
const REFUSAL: u32 = 0;

/// A request of one kind, and what answers it.
pub(crate) trait Call: Message {
    const KIND: u32;
    type Reply: Message;
}

/// Who asks whom.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct Header {
    /// Empty as long as the asking node does not know the name of its cluster.
    pub(crate) cluster_id: String,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Message)]
#[message(versions = "0", flexible = "0+")]
pub(crate) struct Refusal {
    pub(crate) reason: i8,
    pub(crate) message: String,
    pub(crate) unknown_tagged_fields: TaggedFields,
}

impl Refusal {
    /// The asking node belongs to another cluster.
    pub(crate) const FOREIGN_CLUSTER: i8 = 1;
    /// Another node was meant.
    pub(crate) const OTHER_NODE: i8 = 2;
    pub(crate) const INVALID: i8 = 3;
    /// This node does not take part any more, or not in this way.
    pub(crate) const NOT_HERE: i8 = 4;
    /// The other one should begin again.
    pub(crate) const RESTART: i8 = 5;

    #[allow(clippy::needless_pass_by_value, reason = "texts and errors, most of them made on the spot")]
    pub(crate) fn new(reason: i8, message: impl ToString) -> Refusal {
        Refusal {
            reason,
            message: message.to_string(),
            ..Refusal::default()
        }
    }

    pub(crate) fn invalid(error: impl ToString) -> Refusal {
        Refusal::new(Refusal::INVALID, error)
    }
}

pub(crate) fn encode_request<C: Call>(header: &Header, call: &C) -> Result<Bytes, EntryCodecError> {
    let mut encoder = Encoder::new();
    encoder.unsigned_varint(C::KIND);
    encoder.unsigned_varint(VERSION);
    header.encode(&mut encoder, 0).map_err(damaged)?;
    call.encode(&mut encoder, 0).map_err(damaged)?;
    Ok(encoder.finish().to_bytes())
}

/// A request whose message is not decoded yet.
pub(crate) struct Received {
    pub(crate) kind: u32,
    pub(crate) header: Header,
    body: Decoder,
}

impl Received {
    pub(crate) fn decode(request: Bytes) -> Result<Received, EntryCodecError> {
        let mut body = Decoder::new(request);
        let kind = body.unsigned_varint().map_err(damaged)?;
        let version = body.unsigned_varint().map_err(damaged)?;
        if version != VERSION {
            return Err(damaged(format!("request {kind} in version {version} is unknown to this release")));
        }
        let header = Header::decode(&mut body, 0).map_err(damaged)?;
        Ok(Received { kind, header, body })
    }

    pub(crate) fn call<C: Call>(mut self) -> Result<C, EntryCodecError> {
        whole(C::decode(&mut self.body, 0).map_err(damaged)?, &self.body)
    }
}

pub(crate) fn encode_reply<C: Call>(reply: Result<C::Reply, Refusal>) -> Bytes {
    let encoded = reply.and_then(|reply| framed(C::KIND, &reply).map_err(Refusal::invalid));
    encoded.unwrap_or_else(|refusal| encode_refusal(&refusal))
}

pub(crate) fn encode_refusal(refusal: &Refusal) -> Bytes {
    // Only a message of more than 32 KiB could not be encoded.
    framed(REFUSAL, refusal).unwrap_or_default()
}

pub(crate) fn decode_reply<C: Call>(reply: Bytes) -> Result<Result<C::Reply, Refusal>, EntryCodecError> {
    let mut body = Decoder::new(reply);
    let kind = body.unsigned_varint().map_err(damaged)?;
    let version = body.unsigned_varint().map_err(damaged)?;
    if version != VERSION {
        return Err(damaged(format!("a reply in version {version}")));
    }
    if kind == REFUSAL {
        return whole(Err(Refusal::decode(&mut body, 0).map_err(damaged)?), &body);
    }
    if kind != C::KIND {
        return Err(damaged(format!("a reply of kind {kind} to a request of kind {}", C::KIND)));
    }
    whole(Ok(C::Reply::decode(&mut body, 0).map_err(damaged)?), &body)
}

fn framed(kind: u32, message: &impl Message) -> Result<Bytes, EntryCodecError> {
    let mut encoder = Encoder::new();
    encoder.unsigned_varint(kind);
    encoder.unsigned_varint(VERSION);
    message.encode(&mut encoder, 0).map_err(damaged)?;
    Ok(encoder.finish().to_bytes())
}

fn whole<T>(value: T, rest: &Decoder) -> Result<T, EntryCodecError> {
    match rest.remaining() {
        0 => Ok(value),
        bytes => Err(damaged(format!("{bytes} bytes too many"))),
    }
}
