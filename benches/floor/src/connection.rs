//! One connection: a request, its answer, the next request.

use anyhow::{Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use dohle_protocol::header::RequestHeader;
use dohle_protocol::messages::api_versions::ApiVersionsRequest;
use dohle_protocol::messages::fetch::FetchRequest;
use dohle_protocol::messages::init_producer_id::InitProducerIdRequest;
use dohle_protocol::messages::list_offsets::ListOffsetsRequest;
use dohle_protocol::messages::metadata::MetadataRequest;
use dohle_protocol::messages::produce::ProduceRequest;
use dohle_protocol::wire::Decoder;
use dohle_protocol::{ApiKey, Message, Request, frame};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answers;
use crate::log::Log;

const REQUEST_BYTES_MAX: i32 = 100 << 20;

pub(crate) async fn serve(mut socket: TcpStream, log: &Log) -> Result<()> {
    let address = socket.local_addr()?;
    let mut buffer = BytesMut::with_capacity(64 << 10);
    loop {
        while buffer.len() < frame::LENGTH_BYTES {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let length = frame::length([buffer[0], buffer[1], buffer[2], buffer[3]], REQUEST_BYTES_MAX)?;
        buffer.advance(frame::LENGTH_BYTES);
        buffer.reserve(length.saturating_sub(buffer.len()));
        while buffer.len() < length {
            if socket.read_buf(&mut buffer).await? == 0 {
                bail!("ended within a request");
            }
        }
        let request = buffer.split_to(length).freeze();
        let answer = answer(request, log, address).await?;
        write(&mut socket, answer).await?;
    }
}

async fn answer(request: Bytes, log: &Log, address: SocketAddr) -> Result<Vec<Bytes>> {
    let mut decoder = Decoder::new(request);
    let (key, header) = RequestHeader::read(&mut decoder)?;
    let (version, id) = (header.request_api_version, header.correlation_id);
    let is_served = answers::VERSIONS
        .iter()
        .any(|(api, versions)| *api == key && versions.contains(&version));
    Ok(match key {
        ApiKey::ApiVersions if !is_served => respond::<ApiVersionsRequest>(0, id, &answers::api_versions(35))?,
        _ if !is_served => bail!("version {version} of {key} is not served"),
        ApiKey::ApiVersions => respond::<ApiVersionsRequest>(version, id, &answers::api_versions(0))?,
        ApiKey::Metadata => {
            let request = MetadataRequest::decode(&mut decoder, version)?;
            respond::<MetadataRequest>(version, id, &answers::metadata(request, address))?
        }
        ApiKey::InitProducerId => respond::<InitProducerIdRequest>(version, id, &answers::producer_id())?,
        ApiKey::ListOffsets => {
            let request = ListOffsetsRequest::decode(&mut decoder, version)?;
            respond::<ListOffsetsRequest>(version, id, &answers::offsets(request, log))?
        }
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut decoder, version)?;
            let has_answer = request.acks != 0;
            let response = answers::produce(request, log)?;
            if has_answer {
                respond::<ProduceRequest>(version, id, &response)?
            } else {
                Vec::new()
            }
        }
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut decoder, version)?;
            respond::<FetchRequest>(version, id, &fetch(&request, log).await?)?
        }
        other => bail!("{other} is not served"),
    })
}

/// Answers at once if there is enough, else when something was appended or the client's patience is over.
async fn fetch(request: &FetchRequest, log: &Log) -> Result<<FetchRequest as Request>::Response> {
    let patience = tokio::time::sleep(Duration::from_millis(request.max_wait_ms.max(0).cast_unsigned().into()));
    tokio::pin!(patience);
    loop {
        let grown = log.grown.notified();
        tokio::pin!(grown);
        grown.as_mut().enable();
        let (response, bytes) = answers::fetch(request, log)?;
        if bytes >= request.min_bytes.max(0).cast_unsigned() as usize {
            return Ok(response);
        }
        tokio::select! {
            () = &mut grown => {}
            () = &mut patience => return Ok(response),
        }
    }
}

fn respond<R: Request>(version: i16, correlation_id: i32, response: &R::Response) -> Result<Vec<Bytes>> {
    Ok(frame::response(R::KEY, version, correlation_id, response)?.chunks)
}

async fn write(socket: &mut TcpStream, mut pieces: Vec<Bytes>) -> Result<()> {
    while !pieces.is_empty() {
        let slices: Vec<IoSlice> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut written = socket.write_vectored(&slices).await?;
        if written == 0 {
            bail!("the client takes no more");
        }
        pieces.retain_mut(|piece| {
            let of_this = written.min(piece.len());
            piece.advance(of_this);
            written -= of_this;
            !piece.is_empty()
        });
    }
    Ok(())
}
