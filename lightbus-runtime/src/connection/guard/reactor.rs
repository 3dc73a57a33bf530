//! What lapin asks of a runtime, with guarded streams in place of tokio's.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_compat::Compat;
use async_rs::Tokio;
use async_rs::traits::Reactor;
use futures_io::{AsyncRead, AsyncWrite};
use futures_util::Stream;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::{Guard, Limits};

/// tokio's reactor, whose streams are guarded.
#[derive(Clone, Debug)]
pub(crate) struct GuardedReactor {
    pub(crate) tokio: Tokio,
    pub(crate) limits: Limits,
}

impl Reactor for GuardedReactor {
    type TcpStream = Guard<Compat<TcpStream>>;
    type Sleep = Sleep;

    // lapin registers nothing; the trait's bound for what could be has no public name.
    fn register<H: Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.tokio.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.tokio.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.tokio.tcp_connect_addr(address);
        let limits = self.limits.clone();
        async move { Ok(Guard::new(connecting.await?, limits)) }
    }
}
