//! One direction of a proxied connection.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::mode::{Direction, Flow, Mode};

const CHUNK: usize = 16 * 1024;
/// Chunks that are under way on a slow link: beyond these nothing is read, and the sender's own buffers fill.
const UNDER_WAY: usize = 16;
/// On a slow link bytes trickle, they do not come in gulps.
const TRICKLE: usize = 2 * 1024;

struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

/// Moves bytes from one socket to the other until the first one ends.
pub(super) async fn pump(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    direction: Direction,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let (sender, chunks) = mpsc::channel(UNDER_WAY);
    let reading = read(from, sender, direction, mode.clone());
    tokio::try_join!(reading, write(chunks, to, direction, mode)).map(drop)
}

async fn read(
    mut from: ReadHalf<'_>,
    chunks: mpsc::Sender<Chunk>,
    direction: Direction,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        until(&mut mode, |mode| mode.flow(direction) != Flow::Stall).await?;
        let length = tokio::select! {
            read = from.read(&mut buffer) => read?,
            changed = mode.changed() => {
                changed.map_err(io::Error::other)?;
                continue;
            }
        };
        let now = *mode.borrow();
        if length == 0 {
            // A black hole swallows the end of the stream too.
            return until(&mut mode, |mode| mode.flow(direction) != Flow::Discard).await;
        }
        if now.flow(direction) != Flow::Discard {
            let chunk = Chunk {
                due: Instant::now() + now.latency(),
                bytes: buffer[..length].to_vec(),
            };
            chunks.send(chunk).await.map_err(io::Error::other)?;
        }
    }
}

async fn write(
    mut chunks: mpsc::Receiver<Chunk>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    while let Some(chunk) = chunks.recv().await {
        sleep_until(chunk.due).await;
        for piece in chunk.bytes.chunks(TRICKLE) {
            until(&mut mode, |mode| mode.flow(direction) != Flow::Stall).await?;
            let now = *mode.borrow();
            if now.flow(direction) == Flow::Pass {
                to.write_all(piece).await?;
                let took = now.duration_of(piece.len());
                if !took.is_zero() {
                    sleep(took).await;
                }
            }
        }
    }
    to.shutdown().await
}

async fn until(mode: &mut watch::Receiver<Mode>, is_so: impl Fn(Mode) -> bool) -> io::Result<()> {
    let reached = mode.wait_for(|mode| is_so(*mode)).await;
    reached.map(drop).map_err(io::Error::other)
}
