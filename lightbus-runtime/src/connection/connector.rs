//! Opens one connection, or fails by a deadline and leaves nothing behind.
//!
//! lapin's own connect has no deadline: a peer that accepts and stays silent would hold a thread and a socket for ever.
//! So the socket is ours, and shutting it down is how an attempt, or a whole connection, is given up.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_compat::CompatExt;
use async_rs::util::RuntimeParts;
use async_rs::{Runtime, Tokio};
use lapin::uri::AMQPUri;
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, ErrorKind};
use socket2::{SockRef, TcpKeepalive};
use tokio::runtime::Handle;

use super::guard::{Guard, GuardedReactor, Limits};
use super::session::Session;
use crate::Error;
use crate::config::Config;
use crate::counters::Counters;

const HEARTBEAT_SECONDS: u16 = 10;
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long sent bytes may stay unacknowledged by the peer's kernel.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// The largest frame, as RabbitMQ has it. Told from the beginning, lapin allocates its buffers once (8 MiB, zeroed by the system, page by page as they are used); what it grows by later it fills byte by byte.
const FRAME_BYTES: u32 = 131_072;

/// The socket of an attempt, shared with the closure that lapin calls to open it.
type Slot = Arc<Mutex<Option<TcpStream>>>;

/// Connects within `deadline`. Runs on the AMQP thread.
pub(crate) async fn connect(
    config: &Config,
    role: &str,
    deadline: Duration,
    counters: &Arc<Counters>,
) -> Result<Session, Error> {
    let slot = Slot::default();
    let limits = Limits {
        body: config.payload_limit,
        counters: Arc::clone(counters),
    };
    let attempt = Connection::connector(
        uri(config),
        runtime(&limits),
        {
            let slot = Arc::clone(&slot);
            async move |uri: AMQPUri, _| {
                let stream = open(&uri, deadline, &slot).await?;
                let guarded = Guard::new(stream.compat(), limits.clone());
                Ok(AsyncTcpStream::Plain(guarded))
            }
        },
        ConnectionProperties::default()
            .with_connection_name(format!("{} {role}", config.app).into()),
    );
    let result = match tokio::time::timeout(deadline, attempt).await {
        Ok(result) => result.map_err(|error| explain(config, &error)),
        Err(_) => Err(no_answer(config, deadline)),
    };
    let socket = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (result, socket) {
        (Ok(connection), Some(socket)) => Ok(Session::new(connection, socket)),
        (Ok(_), None) => Err(refused(config, "the socket is gone".to_owned())),
        (Err(error), socket) => {
            if let Some(socket) = socket {
                // Ends lapin's I/O thread for this attempt; it may be closed already.
                let _ = socket.shutdown(Shutdown::Both);
            }
            Err(error)
        }
    }
}

fn uri(config: &Config) -> AMQPUri {
    let mut uri = config.uri.clone();
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    uri.query.frame_max.get_or_insert(FRAME_BYTES);
    uri
}

/// tokio, but for its streams.
fn runtime(limits: &Limits) -> Runtime<RuntimeParts<Tokio, GuardedReactor>> {
    let tokio = Tokio::default().with_handle(Handle::current());
    let reactor = GuardedReactor {
        tokio: tokio.clone(),
        limits: limits.clone(),
    };
    Runtime::new(RuntimeParts::new(tokio, reactor))
}

async fn open(
    uri: &AMQPUri,
    deadline: Duration,
    slot: &Slot,
) -> lapin::Result<tokio::net::TcpStream> {
    let address = (uri.authority.host.as_str(), uri.authority.port);
    let connecting = tokio::net::TcpStream::connect(address);
    let stream = tokio::time::timeout(deadline, connecting)
        .await
        .map_err(std::io::Error::from)??;
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let options = SockRef::from(&stream);
    options.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE),
    )?;
    #[cfg(target_os = "linux")]
    options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream.try_clone()?);
    Ok(tokio::net::TcpStream::from_std(stream)?)
}

fn no_answer(config: &Config, deadline: Duration) -> Error {
    Error::Connect {
        broker: config.broker(),
        reason: format!("no answer within {} ms", deadline.as_millis()),
        remedy: "Is that host and port an AMQP broker, and does a firewall let you through?"
            .to_owned(),
    }
}

fn refused(config: &Config, reason: String) -> Error {
    let remedy = "Is the broker running, and are host and port right? Set LIGHTBUS_URL or `Bus::builder(..).url(..)`".to_owned();
    Error::Connect {
        broker: config.broker(),
        reason,
        remedy,
    }
}

fn explain(config: &Config, error: &lapin::Error) -> Error {
    let ErrorKind::ProtocolError(said) = error.kind() else {
        return refused(config, network_reason(error));
    };
    let remedy = match said.get_id() {
        403 => {
            "Are user and password right, and may this user log in from here? RabbitMQ allows `guest` from localhost only"
        }
        530 => {
            "Does the virtual host exist, and may this user access it? `rabbitmqctl list_permissions` shows it"
        }
        _ => "The broker's log says more",
    };
    Error::Connect {
        broker: config.broker(),
        reason: said.get_message().to_string(),
        remedy: remedy.to_owned(),
    }
}

fn network_reason(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::IOError(io) => io.to_string(),
        _ => error.to_string(),
    }
}
