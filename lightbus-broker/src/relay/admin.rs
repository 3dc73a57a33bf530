//! The relay's own connection to the broker, by which it asks how much waits in a queue.

use super::{error::RelayError, scanner::Scanner, target::Target};
use crate::{
    core::parse,
    frames::{self, METHOD, PROTOCOL},
};
use amq_protocol::{
    protocol::{AMQPClass, channel, connection, queue},
    types::{AMQPValue, FieldTable},
};
use std::{collections::VecDeque, io, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// So long the broker may take to let us in, or to answer.
const PATIENCE: Duration = Duration::from_secs(10);
const CHANNEL: u16 = 1;

/// The connection, and its one channel.
#[derive(Debug)]
pub(super) struct Admin {
    stream: TcpStream,
    scanner: Scanner,
    /// Methods that came and were not looked at yet; `None` for one that says who the broker is.
    came: VecDeque<Option<AMQPClass>>,
}

impl Admin {
    pub(super) async fn open(target: &Target) -> Result<Self, RelayError> {
        let unreachable = |source| RelayError::Unreachable {
            address: target.address(),
            source,
        };
        let opened = async {
            let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
            stream.set_nodelay(true)?;
            let mut admin = Self {
                stream,
                scanner: Scanner::of_broker(),
                came: VecDeque::new(),
            };
            let refused = admin.log_in(target).await?;
            Ok((admin, refused))
        };
        let opened = timeout(PATIENCE, opened).await;
        let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match opened.map_err(unreachable)? {
            (admin, None) => Ok(admin),
            (_, Some(why)) => Err(RelayError::Refused {
                address: target.address(),
                user: target.user.clone(),
                vhost: target.vhost.clone(),
                why,
            }),
        }
    }

    /// Logs in; gives the broker's words where it does not let us.
    async fn log_in(&mut self, target: &Target) -> io::Result<Option<String>> {
        use connection::AMQPMethod::{Close, Open, OpenOk, StartOk, Tune, TuneOk};
        self.stream.write_all(&PROTOCOL).await?;
        loop {
            let answer = match self.next().await? {
                None => vec![StartOk(start_ok(target))],
                Some(AMQPClass::Connection(Tune(tune))) => {
                    let tune_ok = connection::TuneOk {
                        channel_max: tune.channel_max,
                        frame_max: tune.frame_max,
                        heartbeat: 0,
                    };
                    let open = connection::Open {
                        virtual_host: target.vhost.as_str().into(),
                    };
                    vec![TuneOk(tune_ok), Open(open)]
                }
                Some(AMQPClass::Connection(OpenOk(_))) => break,
                Some(AMQPClass::Connection(Close(close))) => {
                    return Ok(Some(close.reply_text.as_str().to_owned()));
                }
                Some(_) => vec![],
            };
            for method in answer {
                self.send(0, AMQPClass::Connection(method)).await?;
            }
        }
        self.open_channel().await?;
        Ok(None)
    }

    async fn open_channel(&mut self) -> io::Result<()> {
        use channel::AMQPMethod::{Open, OpenOk};
        let open = AMQPClass::Channel(Open(channel::Open {}));
        self.send(CHANNEL, open).await?;
        while !matches!(self.next().await?, Some(AMQPClass::Channel(OpenOk(_)))) {}
        Ok(())
    }

    /// How many messages wait in a queue; `None` if there is no such queue for us.
    pub(super) async fn ready(&mut self, name: &str) -> io::Result<Option<usize>> {
        let asked = timeout(PATIENCE, self.ask(name)).await;
        asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn ask(&mut self, name: &str) -> io::Result<Option<usize>> {
        let declare = queue::Declare {
            queue: name.into(),
            passive: true,
            durable: false,
            exclusive: false,
            auto_delete: false,
            nowait: false,
            arguments: FieldTable::default(),
        };
        let declare = AMQPClass::Queue(queue::AMQPMethod::Declare(declare));
        self.send(CHANNEL, declare).await?;
        loop {
            match self.next().await? {
                Some(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))) => {
                    return Ok(Some(ok.message_count as usize));
                }
                Some(AMQPClass::Channel(channel::AMQPMethod::Close(_))) => {
                    let ok = channel::AMQPMethod::CloseOk(channel::CloseOk {});
                    self.send(CHANNEL, AMQPClass::Channel(ok)).await?;
                    self.open_channel().await?;
                    return Ok(None);
                }
                Some(AMQPClass::Connection(connection::AMQPMethod::Close(_))) => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                _ => {}
            }
        }
    }

    async fn send(&mut self, channel: u16, method: AMQPClass) -> io::Result<()> {
        let mut bytes = Vec::new();
        frames::method(&mut bytes, channel, method);
        self.stream.write_all(&bytes).await
    }

    /// The broker's next method.
    async fn next(&mut self) -> io::Result<Option<AMQPClass>> {
        let mut read = [0; 4096];
        loop {
            if let Some(method) = self.came.pop_front() {
                return Ok(method);
            }
            let length = self.stream.read(&mut read).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let came = &mut self.came;
            let scanned = self.scanner.scan(&read[..length], |frame| {
                if frame.kind == METHOD {
                    came.extend(method(frame.payload));
                }
            });
            scanned.map_err(|_| io::Error::other("it does not speak AMQP 0-9-1"))?;
        }
    }
}

/// A method; the inner `None` says that it is `connection.start`, whose table nobody needs.
fn method(payload: &[u8]) -> Option<Option<AMQPClass>> {
    let [c1, c0, m1, m0, arguments @ ..] = payload else {
        return None;
    };
    let (class, method) = (
        u16::from_be_bytes([*c1, *c0]),
        u16::from_be_bytes([*m1, *m0]),
    );
    match (class, method) {
        (10, 10) => Some(None),
        _ => parse(class, method, payload, arguments).ok().map(Some),
    }
}

fn start_ok(target: &Target) -> connection::StartOk {
    let mut capabilities = FieldTable::default();
    // Else a wrong password is answered by silence.
    let capability = "authentication_failure_close";
    capabilities.insert(capability.into(), AMQPValue::Boolean(true));
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    let name = AMQPValue::LongString("lightbus relay".into());
    properties.insert("connection_name".into(), name);
    connection::StartOk {
        client_properties: properties,
        mechanism: "PLAIN".into(),
        response: format!("\0{}\0{}", target.user, target.password).into(),
        locale: "en_US".into(),
    }
}
