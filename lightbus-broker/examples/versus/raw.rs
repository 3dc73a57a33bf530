//! Clients that cost next to nothing, so that what is measured is the broker: frames made beforehand, on plain sockets.

use crate::Outcome;
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

const QUEUE: &str = "versus-raw";
/// Publications written at once.
const BATCH: usize = 500;
const BODY: usize = 100;
/// More than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many messages a second go from a publisher to a consumer; with `acks`, acknowledged so many at once.
pub(crate) fn rate(url: &str, count: u64, acks: Option<u64>) -> Outcome<f64> {
    let mut consumer = Client::connect(url)?;
    consumer.declare(QUEUE)?;
    consumer.call(&purge(QUEUE))?;
    if let Some(acks) = acks {
        let [high, low] = u16::try_from(acks * 4)?.to_be_bytes();
        consumer.call(&[0, 60, 0, 10, 0, 0, 0, 0, high, low, 0])?;
    }
    consumer.call(&consume(QUEUE, acks.is_none()))?;
    let mut publisher = Client::connect(url)?;
    let start = Instant::now();
    let publishing =
        std::thread::spawn(move || publisher.publish(QUEUE, count).map(|()| publisher));
    consumer.take(count, acks)?;
    let seconds = start.elapsed().as_secs_f64();
    publishing.join().map_err(|_| "the publisher panicked")??;
    consumer.call(&delete(QUEUE))?;
    Ok(count as f64 / seconds)
}

/// Leaves messages in a queue.
pub(crate) fn fill(url: &str, count: u64) -> Outcome<()> {
    let mut client = Client::connect(url)?;
    client.declare(QUEUE)?;
    client.publish(QUEUE, count)?;
    // Answered behind the last message.
    let [.., m3, m2, m1, m0, _, _, _, _] = client.declare(QUEUE)?[..] else {
        return Err("not declare-ok".into());
    };
    let queued = u32::from_be_bytes([m3, m2, m1, m0]);
    (u64::from(queued) == count)
        .then_some(())
        .ok_or_else(|| format!("{queued} are queued").into())
}

struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
    end: usize,
}

impl Client {
    /// Connects as `guest`, with channel 1 open.
    fn connect(url: &str) -> Outcome<Self> {
        let rest = url.strip_prefix("amqp://").ok_or("not an AMQP address")?;
        let host = rest
            .rsplit('@')
            .next()
            .and_then(|rest| rest.split('/').next());
        let socket = TcpStream::connect(host.ok_or("no host")?)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut client = Self {
            socket,
            buffer: vec![0; 1 << 18],
            end: 0,
        };
        client.socket.write_all(b"AMQP\x00\x00\x09\x01")?;
        client.frame()?;
        let mut start_ok = vec![0, 10, 0, 11, 0, 0, 0, 0];
        start_ok.extend(short("PLAIN"));
        start_ok.extend(b"\x00\x00\x00\x0c\x00guest\x00guest");
        start_ok.extend(short("en_US"));
        client.send(0, &start_ok)?;
        client.frame()?;
        client.send(0, &[0, 10, 0, 31, 0, 10, 0, 2, 0, 0, 0, 0])?;
        client.send(0, &[0, 10, 0, 40, 1, b'/', 0, 0])?;
        client.frame()?;
        client.call(&[0, 20, 0, 10, 0])?;
        Ok(client)
    }

    fn send(&mut self, channel: u16, method: &[u8]) -> Outcome<()> {
        Ok(self.socket.write_all(&frame(1, channel, method))?)
    }

    /// Sends a method and waits for the answer.
    fn call(&mut self, method: &[u8]) -> Outcome<Vec<u8>> {
        self.send(1, method)?;
        self.frame()
    }

    fn declare(&mut self, queue: &str) -> Outcome<Vec<u8>> {
        self.call(&declare(queue))
    }

    /// The payload of the next frame.
    fn frame(&mut self) -> Outcome<Vec<u8>> {
        loop {
            if let Some((_, payload, length)) = cut(&self.buffer[..self.end]) {
                let payload = payload.to_vec();
                if payload.starts_with(&[0, 10, 0, 50]) || payload.starts_with(&[0, 20, 0, 40]) {
                    return Err(String::from_utf8_lossy(&payload).into_owned().into());
                }
                self.buffer.copy_within(length..self.end, 0);
                self.end -= length;
                return Ok(payload);
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Outcome<()> {
        let count = self.socket.read(&mut self.buffer[self.end..])?;
        self.end += count;
        (count > 0)
            .then_some(())
            .ok_or_else(|| "the broker closed the socket".into())
    }

    fn publish(&mut self, queue: &str, count: u64) -> Outcome<()> {
        let one = publication(queue);
        let batch = one.repeat(BATCH);
        for _ in 0..count / BATCH as u64 {
            self.socket.write_all(&batch)?;
        }
        for _ in 0..count % BATCH as u64 {
            self.socket.write_all(&one)?;
        }
        Ok(())
    }

    /// Takes so many deliveries; acknowledges every `acks` of them.
    fn take(&mut self, count: u64, acks: Option<u64>) -> Outcome<()> {
        let mut taken = 0;
        while taken < count {
            self.read()?;
            let (mut at, before) = (0, taken);
            while let Some((kind, _, length)) = cut(&self.buffer[at..self.end]) {
                taken += u64::from(kind == 3);
                at += length;
            }
            self.buffer.copy_within(at..self.end, 0);
            self.end -= at;
            if let Some(acks) = acks
                && taken / acks > before / acks
            {
                let mut ack = vec![0, 60, 0, 80];
                ack.extend((taken / acks * acks).to_be_bytes());
                ack.push(1);
                self.send(1, &ack)?;
            }
        }
        Ok(())
    }
}

/// The first frame's kind, payload and whole length.
fn cut(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [kind, _, _, s3, s2, s1, s0, rest @ ..] = bytes else {
        return None;
    };
    let size = u32::from_be_bytes([*s3, *s2, *s1, *s0]) as usize;
    (rest.len() > size).then(|| (*kind, &rest[..size], size + 8))
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(channel.to_be_bytes());
    bytes.extend((payload.len() as u32).to_be_bytes());
    bytes.extend(payload);
    bytes.push(0xCE);
    bytes
}

fn short(text: &str) -> Vec<u8> {
    let mut bytes = vec![text.len() as u8];
    bytes.extend(text.as_bytes());
    bytes
}

fn publication(queue: &str) -> Vec<u8> {
    let publish = [&[0, 60, 0, 40, 0, 0, 0][..], &short(queue), &[0]].concat();
    let header = [&[0, 60, 0, 0][..], &(BODY as u64).to_be_bytes(), &[0, 0]].concat();
    [
        frame(1, 1, &publish),
        frame(2, 1, &header),
        frame(3, 1, &[7; BODY]),
    ]
    .concat()
}

fn declare(queue: &str) -> Vec<u8> {
    [&[0, 50, 0, 10, 0, 0][..], &short(queue), &[0, 0, 0, 0, 0]].concat()
}

fn purge(queue: &str) -> Vec<u8> {
    [&[0, 50, 0, 30, 0, 0][..], &short(queue), &[0]].concat()
}

fn delete(queue: &str) -> Vec<u8> {
    [&[0, 50, 0, 40, 0, 0][..], &short(queue), &[0]].concat()
}

fn consume(queue: &str, no_ack: bool) -> Vec<u8> {
    [
        &[0, 60, 0, 20, 0, 0][..],
        &short(queue),
        &short("c"),
        &[u8::from(no_ack) << 1, 0, 0, 0, 0],
    ]
    .concat()
}
