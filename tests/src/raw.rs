//! A client that says what no library would: it writes a message's header byte by byte. For hostile messages, which other clients refuse
//! to send, and would not survive to read.

use anyhow::{Context as _, ensure};
use lapin::uri::AMQPUri;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const END: u8 = 0xCE;

/// One connection with one channel in confirm mode, made of bytes.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
}

/// Properties of a message, as they stand on the wire.
#[derive(Clone, Debug, Default)]
pub struct RawProperties {
    /// By flag, from the highest bit on.
    all: std::collections::BTreeMap<std::cmp::Reverse<u16>, Vec<u8>>,
}

/// The properties that are short strings.
#[derive(Clone, Copy, Debug)]
pub enum Text {
    /// `content-type`
    ContentType = 15,
    /// `correlation-id`
    CorrelationId = 10,
    /// `reply-to`
    ReplyTo = 9,
    /// `expiration`
    Expiration = 8,
    /// `message-id`
    MessageId = 7,
    /// `type`
    Type = 5,
}

impl RawProperties {
    /// Adds a short string, whatever its bytes.
    pub fn text(mut self, property: Text, text: &[u8]) -> Self {
        let key = std::cmp::Reverse(1 << (property as u16));
        self.all.insert(key, short(text));
        self
    }

    /// Adds a table of headers, whatever its bytes.
    pub fn headers(mut self, table: &[u8]) -> Self {
        self.all.insert(std::cmp::Reverse(1 << 13), long(table));
        self
    }

    fn encode(&self) -> Vec<u8> {
        let flags: u16 = self.all.keys().map(|flag| flag.0).sum();
        let mut bytes = flags.to_be_bytes().to_vec();
        bytes.extend(self.all.values().flatten());
        bytes
    }
}

/// A table in a table, `depth` of them, under names of no length.
pub fn nested_tables(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for left in (0..depth).rev() {
        table.extend(b"\0F");
        table.extend(u32::try_from(left * 6).unwrap_or_default().to_be_bytes());
    }
    table
}

/// A header with a text.
pub fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    [short(name), b"S".to_vec(), long(value)].concat()
}

fn short(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap_or_default()];
    bytes.extend(text);
    bytes
}

fn long(text: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len())
        .unwrap_or_default()
        .to_be_bytes()
        .to_vec();
    bytes.extend(text);
    bytes
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend(long(payload));
    bytes.push(END);
    bytes
}

fn id(class: u16, method: u16) -> Vec<u8> {
    [class.to_be_bytes(), method.to_be_bytes()].concat()
}

impl Raw {
    /// Connects, to say nothing by itself: heartbeats neither, if the URL asks for them.
    ///
    /// # Errors
    /// When the broker does not let it in.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let uri: AMQPUri = url.parse().map_err(anyhow::Error::msg)?;
        let address = (uri.authority.host.as_str(), uri.authority.port);
        let mut raw = Self {
            stream: TcpStream::connect(address).await?,
        };
        raw.stream.write_all(b"AMQP\0\0\x09\x01").await?;
        raw.expect(10, 10).await?;
        let user = &uri.authority.userinfo;
        let secret = format!("\0{}\0{}", user.username, user.password);
        let start_ok = [
            long(b""),
            short(b"PLAIN"),
            long(secret.as_bytes()),
            short(b"en_US"),
        ];
        raw.call(0, id(10, 11), &start_ok.concat()).await?;
        let tune = raw.expect(10, 30).await?;
        // The same again, but for the heartbeat.
        let heartbeat = uri.query.heartbeat.unwrap_or(0).to_be_bytes();
        let tuned = [&tune[..6], &heartbeat[..]].concat();
        raw.call(0, id(10, 31), &tuned).await?;
        let vhost = [short(uri.vhost.as_bytes()), b"\0\0".to_vec()];
        raw.call(0, id(10, 40), &vhost.concat()).await?;
        raw.expect(10, 41).await?;
        raw.call(1, id(20, 10), b"\0").await?;
        raw.expect(20, 11).await?;
        raw.call(1, id(85, 10), b"\0").await?;
        raw.expect(85, 11).await?;
        Ok(raw)
    }

    /// Reads until the broker has ended the connection.
    ///
    /// # Errors
    /// When the connection ends otherwise.
    pub async fn ended(mut self) -> anyhow::Result<()> {
        match self.stream.read_to_end(&mut Vec::new()).await {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Publishes and waits for the confirmation.
    pub async fn publish(
        &mut self,
        exchange: &str,
        key: &[u8],
        properties: &RawProperties,
        body: &[u8],
    ) -> anyhow::Result<()> {
        let to = [
            id(60, 40),
            b"\0\0".to_vec(),
            short(exchange.as_bytes()),
            short(key),
            b"\0".to_vec(),
        ];
        let header = [
            b"\0\x3c\0\0".to_vec(),
            u64::try_from(body.len())?.to_be_bytes().to_vec(),
            properties.encode(),
        ];
        let mut bytes = frame(METHOD, 1, &to.concat());
        bytes.extend(frame(HEADER, 1, &header.concat()));
        for piece in body.chunks(100_000) {
            bytes.extend(frame(BODY, 1, piece));
        }
        self.stream.write_all(&bytes).await?;
        self.expect(60, 80).await.context("publishing")?;
        Ok(())
    }

    /// The next message of a queue: the payload of its content header.
    pub async fn take(&mut self, queue: &str) -> anyhow::Result<Vec<u8>> {
        let asked = [b"\0\0".to_vec(), short(queue.as_bytes()), b"\x01".to_vec()];
        self.call(1, id(60, 70), &asked.concat()).await?;
        self.expect(60, 71).await?;
        let (kind, header) = self.read().await?;
        ensure!(kind == HEADER, "a header, not {kind}");
        let size = header.get(4..12).context("the header is short")?;
        let mut left = u64::from_be_bytes(size.try_into()?);
        while left > 0 {
            let (_, body) = self.read().await?;
            left = left.saturating_sub(u64::try_from(body.len())?);
        }
        Ok(header)
    }

    async fn call(&mut self, channel: u16, id: Vec<u8>, arguments: &[u8]) -> anyhow::Result<()> {
        let payload = [&id, arguments].concat();
        Ok(self
            .stream
            .write_all(&frame(METHOD, channel, &payload))
            .await?)
    }

    /// The arguments of the method that has to come next.
    async fn expect(&mut self, class: u16, method: u16) -> anyhow::Result<Vec<u8>> {
        let (kind, payload) = self.read().await?;
        let text = String::from_utf8_lossy(&payload);
        ensure!(
            kind == METHOD && payload.starts_with(&id(class, method)),
            "method {class}.{method} should have come, not {kind}: {text}"
        );
        Ok(payload[4..].to_vec())
    }

    async fn read(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        let mut head = [0; 7];
        self.stream.read_exact(&mut head).await?;
        let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
        let mut payload = vec![0; usize::try_from(size)? + 1];
        self.stream.read_exact(&mut payload).await?;
        payload.pop();
        Ok((head[0], payload))
    }
}
