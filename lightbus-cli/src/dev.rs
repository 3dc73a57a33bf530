//! `lightbus dev`: a broker to develop on, where apps look for one unless told otherwise.

use std::io::Write;
use std::net::SocketAddr;

use lightbus_broker::{Broker, StartError};
use miette::Diagnostic;

/// Starts a broker for development, in memory, until Ctrl-C.
///
/// It listens where apps connect by default, so that they run without a RabbitMQ. What is in it is gone when it ends.
#[derive(Debug, clap::Args)]
pub(crate) struct Dev {
    /// Address and port; port 0 picks a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:5672")]
    listen: SocketAddr,
}

/// Why there is no broker to develop on.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum DevError {
    #[error("the broker cannot start")]
    #[diagnostic(help(
        "Does a RabbitMQ, or another `lightbus dev`, use that port? `--listen 127.0.0.1:0` picks a free one. It serves this machine alone."
    ))]
    Start(#[from] StartError),
    #[error("cannot listen for signals, or print")]
    Io(#[from] std::io::Error),
}

impl Dev {
    pub(crate) async fn run(self) -> Result<(), DevError> {
        let broker = Broker::builder().listen(self.listen).start().await?;
        // The first line is the URL alone, for programs that read it.
        let mut out = std::io::stdout();
        writeln!(out, "{}", broker.url())?;
        writeln!(
            out,
            "A broker in memory, on one node, for development. Ctrl-C ends it, and what is in it."
        )?;
        if self.listen.port() != 5672 {
            writeln!(out, "Apps find it by: export LIGHTBUS_URL={}", broker.url())?;
        }
        out.flush()?;
        tokio::signal::ctrl_c().await?;
        broker.shutdown().await;
        Ok(())
    }
}
