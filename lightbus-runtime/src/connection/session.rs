//! One open connection, from its handshake to its loss.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use lapin::{Channel, Connection};

use super::STEP;

const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    socket: TcpStream,
}

impl Session {
    pub(crate) fn new(connection: Connection, socket: TcpStream) -> Self {
        Self { connection, socket }
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A new channel. A connection on which that takes too long is given up.
    pub(crate) async fn channel(&self) -> Result<Channel, lapin::Error> {
        self.step(self.connection.create_channel()).await
    }

    /// Runs one step on this connection. A connection on which it hangs is cut, so that the supervisor opens another.
    pub(crate) async fn step<T>(
        &self,
        step: impl Future<Output = Result<T, lapin::Error>>,
    ) -> Result<T, lapin::Error> {
        match tokio::time::timeout(STEP, step).await {
            Ok(result) => result,
            Err(elapsed) => {
                // A blocked connection answers nothing while an alarm lasts, and is not broken.
                if !self.connection.status().blocked() {
                    self.cut();
                }
                Err(std::io::Error::from(elapsed).into())
            }
        }
    }

    /// Drops the socket: the only way out of a connection that hangs, and what ends lapin's thread.
    pub(crate) fn cut(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Closes properly if the broker answers, and drops the socket in any case.
    pub(crate) async fn close(&self) {
        let closing = self.connection.close(200, "closing".into());
        if !self.connection.status().blocked() {
            let _ = tokio::time::timeout(CLOSE_DEADLINE, closing).await;
        }
        self.cut();
    }
}
