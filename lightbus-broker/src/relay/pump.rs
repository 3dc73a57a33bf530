//! What passes: each connection byte for byte, in both directions, each frame told to the ledger before it goes on.

use super::{ledger::Side, scanner::Scanner, shared::Shared};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
    task::JoinSet,
    time::{sleep, timeout},
};

const BUFFER: usize = 64 << 10;
/// So many connections at once.
const MOST: usize = 1024;
/// So long one side may go on when the other has ended.
const LINGER: Duration = Duration::from_secs(5);

/// Lets connections pass; never ends.
pub(super) async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let mut passing = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if passing.len() < MOST => match accepted {
                Ok((stream, peer)) => {
                    passing.spawn(pass(shared.clone(), stream, peer));
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    // Out of descriptors, most likely: trying again at once would only burn the processor.
                    sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = passing.join_next() => {}
        }
    }
}

/// Takes a connection out of the ledger, however it ends.
struct Leave {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.disconnected(self.id);
    }
}

/// Lets one connection pass, to its end or until it is cut.
async fn pass(shared: Arc<Shared>, client: TcpStream, peer: SocketAddr) {
    let target = &shared.target;
    let broker = match TcpStream::connect((target.host.as_str(), target.port)).await {
        Ok(broker) => broker,
        Err(error) => {
            let address = target.address();
            tracing::warn!(%error, %address, "the broker behind the relay cannot be reached");
            return;
        }
    };
    let (id, cut) = shared.connect(peer.to_string());
    let leave = Leave {
        shared: shared.clone(),
        id,
    };
    if let Err(error) = both(&shared, id, client, broker, &cut).await {
        tracing::debug!(client = id, %error, "a connection through the relay is lost");
    }
    drop(leave);
}

async fn both(
    shared: &Shared,
    id: u64,
    client: TcpStream,
    broker: TcpStream,
    cut: &Notify,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    broker.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let mut there = Direction::new(shared, id, Side::Client);
    let mut back = Direction::new(shared, id, Side::Broker);
    let mut there = std::pin::pin!(there.copy(from_client, to_broker));
    let mut back = std::pin::pin!(back.copy(from_broker, to_client));
    tokio::select! {
        ended = &mut there => {
            ended?;
            timeout(LINGER, back).await.unwrap_or(Ok(()))
        }
        ended = &mut back => {
            ended?;
            timeout(LINGER, there).await.unwrap_or(Ok(()))
        }
        () = cut.notified() => Ok(()),
    }
}

/// One direction of a connection.
struct Direction<'a> {
    shared: &'a Shared,
    id: u64,
    from: Side,
    /// `None` once something came that is no frame: it passes unseen.
    scanner: Option<Scanner>,
}

impl<'a> Direction<'a> {
    fn new(shared: &'a Shared, id: u64, from: Side) -> Self {
        let scanner = match from {
            Side::Client => Scanner::of_client(),
            Side::Broker => Scanner::of_broker(),
        };
        Self {
            shared,
            id,
            from,
            scanner: Some(scanner),
        }
    }

    /// Copies until the end of what is to be read, and tells the other side of it.
    async fn copy(
        &mut self,
        mut input: OwnedReadHalf,
        mut output: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = input.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            let bytes = buffer.get(..read).unwrap_or_default();
            self.see(bytes);
            output.write_all(bytes).await?;
        }
        self.shared.disconnected(self.id);
        output.shutdown().await
    }

    fn see(&mut self, bytes: &[u8]) {
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        let (id, from) = (self.id, self.from);
        let seen = self
            .shared
            .with(|ledger| scanner.scan(bytes, |frame| ledger.frame(id, from, frame)));
        if let Err(bad) = seen {
            tracing::warn!(
                client = id,
                ?from,
                ?bad,
                "what passes is no AMQP: it is no longer looked at"
            );
            self.scanner = None;
        }
    }
}
