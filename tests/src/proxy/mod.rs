//! A TCP proxy between an app and its broker, that does to their connections what networks do.

mod mode;
mod pump;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use mode::Direction;
pub use mode::Mode;

/// A proxy on a loopback port of its own. Dropping it ends its connections.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> anyhow::Result<()> {
/// use lightbus_tests::proxy::{Mode, Proxy};
///
/// let broker = lightbus_broker::Broker::start().await?;
/// let proxy = Proxy::start(&broker.url()).await?;
/// let bus = lightbus::Bus::builder("shop").url(proxy.url()).connect().await?;
/// proxy.set(Mode::Refuse);
/// proxy.cut();
/// // The app goes on without a broker until this:
/// proxy.set(Mode::Pass);
/// # bus.close().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Proxy {
    url: String,
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<()>,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// A proxy for the broker at this URL. It passes everything at first.
    pub async fn start(broker: &str) -> anyhow::Result<Self> {
        let (before, upstream, after) = split(broker)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (mode, cuts) = (watch::Sender::new(Mode::Pass), watch::Sender::new(()));
        let accepted = Arc::<AtomicUsize>::default();
        let entrance = Entrance {
            upstream: upstream.to_owned(),
            mode: mode.clone(),
            cuts: cuts.clone(),
            accepted: Arc::clone(&accepted),
        };
        let accepting = entrance.accept(listener);
        Ok(Self {
            url: format!("{before}{address}{after}"),
            address,
            mode,
            cuts,
            accepted,
            accepting: tokio::spawn(accepting),
        })
    }

    /// The broker's URL, through this proxy.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Where the proxy listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to the bytes, of connections that are there as well, from now on.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Resets every connection now, both its ends. What was under way is lost. Says how many there were.
    pub fn cut(&self) -> usize {
        let connections = self.connections();
        self.cuts.send_replace(());
        connections
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.cuts.receiver_count()
    }

    /// How many connections there have ever been.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections are tasks of a set that ends with it.
        self.accepting.abort();
    }
}

/// The parts of an AMQP URL before, of, and after the host and port.
fn split(url: &str) -> anyhow::Result<(&str, &str, &str)> {
    let scheme = url.find("://").map(|at| at + 3);
    let scheme = scheme.ok_or_else(|| anyhow::anyhow!("`{url}` is no AMQP URL"))?;
    let end = url[scheme..].find(['/', '?']).map(|at| scheme + at);
    let end = end.unwrap_or(url.len());
    let start = url[scheme..end]
        .rfind('@')
        .map_or(scheme, |at| scheme + at + 1);
    Ok((&url[..start], &url[start..end], &url[end..]))
}

/// Where connections come in.
struct Entrance {
    upstream: String,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<()>,
    accepted: Arc<AtomicUsize>,
}

impl Entrance {
    async fn accept(self, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => {
                        self.accepted.fetch_add(1, Ordering::SeqCst);
                        let (upstream, mode) = (self.upstream.clone(), self.mode.subscribe());
                        connections.spawn(serve(client, upstream, mode, self.cuts.subscribe()));
                    }
                    // Out of file descriptors, say: not for ever.
                    Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// One connection, until either side ends it or it is cut.
async fn serve(
    mut client: TcpStream,
    upstream: String,
    mode: watch::Receiver<Mode>,
    mut cuts: watch::Receiver<()>,
) {
    let mut broker = None;
    let ended = tokio::select! {
        biased;
        _ = cuts.changed() => Err(io::ErrorKind::ConnectionReset.into()),
        ended = relay(&mut client, &mut broker, &upstream, mode) => ended,
    };
    if ended.is_err() {
        // Dropped with data unsent or not: a reset.
        let _ = client.set_zero_linger();
        let _ = broker.map(|broker| broker.set_zero_linger());
    }
}

async fn relay(
    client: &mut TcpStream,
    broker: &mut Option<TcpStream>,
    upstream: &str,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let now = *mode.borrow();
    match now {
        Mode::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
        Mode::Silence => return silence(client).await,
        _ => {}
    }
    client.set_nodelay(true)?;
    let broker = broker.insert(TcpStream::connect(upstream).await?);
    broker.set_nodelay(true)?;
    let ((from_client, to_client), (from_broker, to_broker)) = (client.split(), broker.split());
    tokio::try_join!(
        pump::pump(from_client, to_broker, Direction::ToBroker, mode.clone()),
        pump::pump(from_broker, to_client, Direction::ToClient, mode),
    )
    .map(drop)
}

/// Reads until the client gives up, and never answers.
async fn silence(client: &mut TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
