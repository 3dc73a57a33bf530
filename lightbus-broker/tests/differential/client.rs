//! A small AMQP client that hides nothing: it sends what it is told, and hands out all that comes.

use amq_protocol::{
    frame::{AMQPFrame, WriteContext, gen_frame, parse_frame},
    protocol::{AMQPClass, basic, channel, connection},
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use std::{
    collections::HashMap,
    fmt,
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

/// Why there is nothing more to get from a connection.
#[derive(Clone, Debug)]
pub(crate) struct Lost(String);

impl Lost {
    pub(crate) fn because(why: &str) -> Self {
        Self(why.to_owned())
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}

/// A message, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    pub(crate) properties: basic::AMQPProperties,
    pub(crate) body: Vec<u8>,
    /// How many frames the body came in.
    pub(crate) frames: usize,
    size: u64,
}

/// What came on a channel.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    pub(crate) channel: u16,
    pub(crate) method: AMQPClass,
    pub(crate) content: Option<Box<Content>>,
}

/// One connection, past its negotiation.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// What was read and not yet looked at, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    frame_max: usize,
    /// Messages that have not come as a whole.
    partial: HashMap<u16, (AMQPClass, Content)>,
    pub(crate) version: String,
}

impl Client {
    /// Connects and negotiates; `frame_max` is what this client asks for.
    pub(crate) fn connect(url: &str, frame_max: u32) -> Result<Self, Lost> {
        let uri: AMQPUri = url.parse().map_err(Lost)?;
        let authority = &uri.authority;
        let stream = TcpStream::connect((authority.host.as_str(), authority.port))?;
        stream.set_nodelay(true)?;
        let mut client = Self {
            stream,
            buffer: Vec::new(),
            start: 0,
            frame_max: frame_max as usize,
            partial: HashMap::new(),
            version: String::new(),
        };
        client.stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let (user, password) = (&authority.userinfo.username, &authority.userinfo.password);
        client.negotiate(user, password, &uri.vhost, frame_max)?;
        Ok(client)
    }

    fn negotiate(
        &mut self,
        user: &str,
        password: &str,
        vhost: &str,
        frame_max: u32,
    ) -> Result<(), Lost> {
        use connection::AMQPMethod::{Open, OpenOk, Start, StartOk, Tune, TuneOk};
        let Start(start) = self.expect_connection()? else {
            return Err(Lost("no connection.start".to_owned()));
        };
        if let Some(AMQPValue::LongString(version)) = start.server_properties.inner().get("version")
        {
            self.version = version.to_string();
        }
        let ok = connection::StartOk {
            client_properties: properties(),
            mechanism: "PLAIN".into(),
            response: format!("\0{user}\0{password}").into(),
            locale: "en_US".into(),
        };
        self.send(0, AMQPClass::Connection(StartOk(ok)))?;
        let Tune(tune) = self.expect_connection()? else {
            return Err(Lost("no connection.tune".to_owned()));
        };
        let ok = connection::TuneOk {
            channel_max: tune.channel_max,
            frame_max,
            heartbeat: 0,
        };
        self.send(0, AMQPClass::Connection(TuneOk(ok)))?;
        let open = connection::Open {
            virtual_host: vhost.into(),
        };
        self.send(0, AMQPClass::Connection(Open(open)))?;
        match self.expect_connection()? {
            OpenOk(_) => Ok(()),
            other => Err(Lost(format!("no connection.open-ok but {other:?}"))),
        }
    }

    fn expect_connection(&mut self) -> Result<connection::AMQPMethod, Lost> {
        match self.receive(Duration::from_secs(10))? {
            Some(Incoming {
                method: AMQPClass::Connection(method),
                ..
            }) => Ok(method),
            other => Err(Lost(format!("unexpected during negotiation: {other:?}"))),
        }
    }

    /// Sends a method.
    pub(crate) fn send(&mut self, channel: u16, method: AMQPClass) -> Result<(), Lost> {
        let frame = encode(&AMQPFrame::Method(channel, method))?;
        Ok(self.stream.write_all(&frame)?)
    }

    /// Sends many methods at once.
    pub(crate) fn send_all(
        &mut self,
        methods: impl IntoIterator<Item = (u16, AMQPClass)>,
    ) -> Result<(), Lost> {
        let mut bytes = Vec::new();
        for (channel, method) in methods {
            bytes.extend(encode(&AMQPFrame::Method(channel, method))?);
        }
        Ok(self.stream.write_all(&bytes)?)
    }

    /// Sends a method and its content.
    pub(crate) fn publish(
        &mut self,
        channel: u16,
        publish: basic::Publish,
        properties: &basic::AMQPProperties,
        body: &[u8],
    ) -> Result<(), Lost> {
        let method = AMQPClass::Basic(basic::AMQPMethod::Publish(publish));
        let header = amq_protocol::frame::AMQPContentHeader {
            class_id: 60,
            body_size: body.len() as u64,
            properties: properties.clone(),
        };
        let mut bytes = encode(&AMQPFrame::Method(channel, method))?;
        bytes.extend(encode(&AMQPFrame::Header(channel, header))?);
        for chunk in body.chunks(self.frame_max - 8) {
            bytes.extend(encode(&AMQPFrame::Body(channel, chunk.to_vec()))?);
        }
        Ok(self.stream.write_all(&bytes)?)
    }

    /// The next method with its content, or `None` if none came in time.
    pub(crate) fn receive(&mut self, patience: Duration) -> Result<Option<Incoming>, Lost> {
        let deadline = Instant::now() + patience;
        loop {
            while let Some(frame) = self.cut()? {
                if let Some(incoming) = self.assemble(frame) {
                    return Ok(Some(incoming));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.read(left)?;
        }
    }

    fn read(&mut self, patience: Duration) -> Result<(), Lost> {
        self.buffer.drain(..std::mem::take(&mut self.start));
        self.stream
            .set_read_timeout(Some(patience.max(Duration::from_millis(1))))?;
        let mut chunk = [0; 16 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(Lost("the broker closed the socket".to_owned())),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes one whole frame off the buffer.
    fn cut(&mut self) -> Result<Option<AMQPFrame>, Lost> {
        let bytes = &self.buffer[self.start..];
        let [_, _, _, s3, s2, s1, s0, ..] = *bytes else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([s3, s2, s1, s0]) as usize + 8;
        if bytes.len() < length {
            return Ok(None);
        }
        let (_, frame) = parse_frame(&bytes[..length])
            .map_err(|error| Lost(format!("a frame that is none: {error:?}")))?;
        self.start += length;
        Ok(Some(frame))
    }

    fn assemble(&mut self, frame: AMQPFrame) -> Option<Incoming> {
        let channel = match frame {
            AMQPFrame::Method(channel, method) if has_content(&method) => {
                self.partial.insert(channel, (method, Content::default()));
                return None;
            }
            AMQPFrame::Method(channel, method) => {
                return Some(Incoming {
                    channel,
                    method,
                    content: None,
                });
            }
            AMQPFrame::Header(channel, header) => {
                let (_, content) = self.partial.get_mut(&channel)?;
                content.properties = header.properties;
                content.size = header.body_size;
                channel
            }
            AMQPFrame::Body(channel, chunk) => {
                let (_, content) = self.partial.get_mut(&channel)?;
                content.body.extend(chunk);
                content.frames += 1;
                channel
            }
            _ => return None,
        };
        let complete =
            |(_, content): &(AMQPClass, Content)| content.body.len() as u64 == content.size;
        if !self.partial.get(&channel).is_some_and(complete) {
            return None;
        }
        let (method, content) = self.partial.remove(&channel)?;
        Some(Incoming {
            channel,
            method,
            content: Some(Box::new(content)),
        })
    }
}

fn has_content(method: &AMQPClass) -> bool {
    use basic::AMQPMethod::{Deliver, GetOk, Return};
    matches!(method, AMQPClass::Basic(Deliver(_) | GetOk(_) | Return(_)))
}

/// Who this client says it is, and what it understands.
fn properties() -> FieldTable {
    let mut capabilities = FieldTable::default();
    for name in [
        "publisher_confirms",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
    ] {
        capabilities.insert(name.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

fn encode(frame: &AMQPFrame) -> Result<Vec<u8>, Lost> {
    gen_frame(frame)(WriteContext::from(Vec::new()))
        .map(|context| context.into_inner().0)
        .map_err(|error| Lost(format!("a frame that cannot be written: {error:?}")))
}

/// `channel.open`.
pub(crate) fn open_channel() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Open(channel::Open {}))
}

/// `channel.close-ok`.
pub(crate) fn channel_close_ok() -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::CloseOk(channel::CloseOk {}))
}

/// `connection.close-ok`.
pub(crate) fn connection_close_ok() -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::CloseOk(connection::CloseOk {}))
}
