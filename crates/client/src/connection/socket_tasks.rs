//! The tasks that own the two halves of a connection's socket.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;

use super::{Link, Outgoing, framing};

const BUFFER_BYTES: usize = 64 * 1024;

pub(super) fn spawn(stream: TcpStream, queue: mpsc::Receiver<Outgoing>, link: Arc<Link>) {
    let (read_half, write_half) = stream.into_split();
    tokio::spawn(run(write_requests(write_half, queue, link.clone()), link.clone()));
    tokio::spawn(run(read_answers(read_half, link.clone()), link));
}

/// Either half ending, for whatever reason, ends the connection.
async fn run(half: impl Future<Output = io::Result<()>>, link: Arc<Link>) {
    let ended = tokio::select! {
        ended = half => ended,
        () = link.closed.cancelled() => Ok(()),
    };
    match ended {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => link.close("the server closed it"),
        Err(error) => link.close(&error.to_string()),
        Ok(()) => link.close("it was closed here"),
    }
}

async fn write_requests(half: OwnedWriteHalf, mut queue: mpsc::Receiver<Outgoing>, link: Arc<Link>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, half);
    while let Some(mut next) = queue.recv().await {
        loop {
            // Registered before it is written: the answer can only come later.
            if let Some(awaited) = next.awaited.take() {
                link.awaited.lock().push_back(awaited);
            }
            framing::write(&mut writer, &next.frame).await?;
            match queue.try_recv() {
                Ok(more) => next = more,
                Err(_) => break,
            }
        }
        writer.flush().await?;
    }
    Ok(())
}

async fn read_answers(half: OwnedReadHalf, link: Arc<Link>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, half);
    loop {
        let answer = framing::read(&mut reader).await?;
        let correlation_id = answer.first_chunk::<4>().map(|bytes| i32::from_be_bytes(*bytes));
        let awaited = link.awaited.lock().pop_front();
        match awaited {
            Some(awaited) if Some(awaited.correlation_id) == correlation_id => {
                // Whoever stopped waiting does not mind.
                let _ = awaited.answer.send(answer);
            }
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("an answer with id {correlation_id:?} was not expected"),
                ));
            }
        }
    }
}
