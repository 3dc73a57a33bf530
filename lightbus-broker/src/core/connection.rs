//! One connection as the core sees it: how far its negotiation is, its channels, and the bytes it is to be sent.

use super::{
    access::Rights,
    channel::{Channel, Incoming},
    consumer::Consumer,
    delay::Delayed,
    ids::{IdMap, QueueId},
    message::Message,
};
use crate::frames;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

/// What the writer of a connection and the core tell each other.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Bytes handed over and not yet sent.
    unsent: AtomicUsize,
    /// The core withheld deliveries; it wants to be told when there is room.
    starved: AtomicBool,
}

impl Meter {
    pub(crate) fn add(&self, bytes: usize) {
        self.unsent.fetch_add(bytes, Ordering::SeqCst);
    }

    pub(crate) fn sub(&self, bytes: usize) {
        self.unsent.fetch_sub(bytes, Ordering::SeqCst);
    }

    pub(crate) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::SeqCst)
    }

    pub(crate) fn starve(&self) {
        self.starved.store(true, Ordering::SeqCst);
    }

    /// Whether the core is to be told that there is room again; asked once.
    pub(crate) fn relieves(&self) -> bool {
        self.unsent() < CONGESTION / 2 && self.starved.swap(false, Ordering::SeqCst)
    }
}

/// A connection with this much unsent gets no more deliveries for now.
pub(crate) const CONGESTION: usize = 4 << 20;

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Header,
    StartOk,
    TuneOk,
    Open,
    Running,
    /// The broker closed it; the client has not confirmed that yet.
    Closing,
    /// Both sides know it is over; the client may close its socket in peace.
    Done,
    /// Not worth another word.
    Refused,
}

/// What whoever reads a connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directive {
    Read,
    /// Do not read until told to go on.
    Pause,
    /// Read on, but not for long.
    AwaitClose,
    /// Read and ignore, but not for long.
    Linger,
    /// Send what is left and close.
    Close,
}

/// What a client said of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) product: Option<String>,
    pub(crate) cancel_notify: bool,
    pub(crate) blocked_notify: bool,
    pub(crate) login_failure_notify: bool,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) phase: Phase,
    pub(crate) peer: String,
    pub(crate) client: Client,
    pub(crate) user: Arc<str>,
    pub(crate) vhost: Arc<str>,
    /// What its user may do in the virtual host; none is everything.
    pub(crate) rights: Option<Arc<Rights>>,
    /// It may publish in another user's name.
    pub(crate) impersonates: bool,
    pub(crate) frame_max: u32,
    pub(crate) channel_max: u16,
    pub(crate) heartbeat: u16,
    pub(crate) channels: IdMap<u16, Channel>,
    pub(crate) exclusive: Vec<QueueId>,
    /// It has published, so it is one to block.
    pub(crate) publishes: bool,
    /// It was told that it is blocked.
    pub(crate) blocked: bool,
    /// How much it may still send when it is blocked in the midst of a message.
    pub(crate) grace: usize,
    /// Bytes not yet handed to the writer.
    pub(crate) out: Vec<u8>,
    /// It is listed among the connections with bytes to hand over.
    pub(crate) listed: bool,
    /// Bytes that a test holds back.
    pub(crate) delayed: Delayed,
    pub(crate) meter: Arc<Meter>,
    /// Channels with confirms to send at the end of the batch.
    pub(crate) confirming: Vec<u16>,
}

impl Connection {
    pub(crate) fn new(peer: String, frame_max: u32, meter: Arc<Meter>) -> Self {
        let none: Arc<str> = Arc::from("");
        Self {
            phase: Phase::Header,
            peer,
            client: Client::default(),
            user: none.clone(),
            vhost: none,
            rights: None,
            impersonates: false,
            frame_max,
            channel_max: 0,
            heartbeat: 0,
            channels: IdMap::default(),
            exclusive: Vec::new(),
            publishes: false,
            blocked: false,
            grace: 0,
            out: Vec::new(),
            listed: false,
            delayed: Delayed::default(),
            meter,
            confirming: Vec::new(),
        }
    }

    /// Writes a message's content, whose method was written just before.
    pub(crate) fn write_content(&mut self, channel: u16, properties: &[u8], message: &Message) {
        let frame_max = self.frame_max as usize;
        frames::content(
            &mut self.out,
            channel,
            properties,
            &message.body.bytes,
            frame_max,
        );
    }

    /// Whether part of a message has come, and the rest may.
    pub(crate) fn is_midway(&self) -> bool {
        let midway = |channel: &Channel| matches!(channel.incoming, Incoming::Body(_));
        self.grace > 0 && self.channels.values().any(midway)
    }

    /// The bytes the client has not been sent yet.
    pub(crate) fn unsent(&self) -> usize {
        self.out.len() + self.meter.unsent()
    }

    /// Whether so much is unsent that deliveries wait.
    pub(crate) fn is_congested(&self) -> bool {
        self.unsent() >= CONGESTION
    }

    /// Whether a consumer on it may be given more, as far as its channel is concerned.
    pub(crate) fn can_take(&self, consumer: &Consumer) -> bool {
        // What is shared holds back those too that settle nothing, as in RabbitMQ.
        let willing = |channel: &Channel| !channel.closing && channel.has_credit(consumer);
        self.phase == Phase::Running
            && !self.is_congested()
            && self.channels.get(&consumer.at.channel).is_some_and(willing)
    }
}
