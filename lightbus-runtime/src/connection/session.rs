//! One open connection, from its handshake to its loss.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Connection};

use super::STEP;
use crate::wire::short;

const CLOSE_DEADLINE: Duration = Duration::from_secs(2);
/// No queue has this name: the default exchange drops the message.
const FLUSH_KEY: &str = "lb.flush";

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

    /// Closes a channel, unless an error has closed it already.
    pub(crate) async fn close_channel(&self, channel: Channel) {
        if channel.status().connected() {
            let _ = self.step(channel.close(200, "done".into())).await;
        }
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

    /// Waits until the broker has read every message that was handed over before. lapin would send a close ahead of them; what it
    /// keeps in order is messages, so this sends one more, to nobody.
    pub(crate) async fn flush(&self) -> Result<(), lapin::Error> {
        let channel = self.channel().await?;
        self.flush_by(channel, "").await
    }

    /// The same, however long the broker takes, by an exchange of one's choice. If the broker refuses that message, it has read it, and those before it.
    pub(crate) async fn read_so_far(&self, exchange: &str) -> Result<(), lapin::Error> {
        let channel = self.connection.create_channel().await?;
        self.flush_by(channel, exchange).await
    }

    async fn flush_by(&self, channel: Channel, exchange: &str) -> Result<(), lapin::Error> {
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await?;
        let (exchange, key) = (short(exchange), ShortString::from(FLUSH_KEY));
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish(exchange, key, options, &[], properties);
        let confirmed = sent.await?.await;
        // Not left to the drop of the channel: lapin complains of one that is closing when the connection closes. Under an alarm, which
        // some brokers tell in answer to the message, it would not be closed before the alarm's end.
        if !self.connection.status().blocked() {
            self.close_channel(channel).await;
        }
        confirmed.map(drop)
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
