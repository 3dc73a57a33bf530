//! What the operating system says when it wants the process to end.

use tracing::{debug, info};

use crate::boxed::Boxed;
use crate::{Bus, Error};

/// Waits for a signal or the bus's own end, then closes the bus. A second signal ends the wait.
pub(crate) fn until_shutdown(bus: Bus) -> Boxed<Result<(), Error>> {
    Box::pin(async move {
        let mut signals = Signals::new()?;
        tokio::select! {
            name = signals.next() => info!(signal = name, "shutting down"),
            () = bus.stopping() => debug!("shutting down"),
        }
        tokio::select! {
            () = bus.close() => {}
            name = signals.next() => info!(signal = name, "not waiting for handlers any longer"),
        }
        Ok(())
    })
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| failed(&error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, Error> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}

#[cfg(unix)]
fn failed(error: &std::io::Error) -> Error {
    Error::Broker {
        object: "listening for signals".to_owned(),
        detail: error.to_string(),
    }
}
