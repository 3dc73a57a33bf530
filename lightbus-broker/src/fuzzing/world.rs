//! A core, a clock, and connections that treat it as the sockets do.

use super::methods;
use crate::{
    config::Settings,
    core::{ConnId, Core, Directive, Meter, Now},
    frames,
};
use amq_protocol::{frame::parse_frame, protocol::AMQPClass};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How many connections there may be.
pub(crate) const PLAYERS: usize = 4;
const DECLARE_OK: [u8; 4] = [0, 50, 0, 11];
const DELETE_OK: [u8; 4] = [0, 50, 0, 41];
/// What a choked connection pretends not to have read.
const CHOKE: usize = 8 << 20;

pub(crate) struct World {
    core: Core,
    now: Now,
    players: [Option<Player>; PLAYERS],
}

struct Player {
    id: ConnId,
    meter: Arc<Meter>,
    choked: bool,
    greeted: bool,
    directive: Directive,
    /// What was read and is not a whole frame yet.
    pending: Vec<u8>,
    /// The contents being received: what is missing of each, by channel.
    contents: HashMap<u16, Option<u64>>,
    /// The numbers of the methods it was sent.
    heard: Vec<[u8; 4]>,
    /// The channels that the broker closed.
    lost: Vec<u16>,
    /// The last delivery tag of each channel.
    tags: HashMap<u16, u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Now {
            instant: Instant::now(),
            unix: 1_000_000,
        };
        let settings = Settings {
            seed: 1,
            memory_limit: 64 << 10,
            max_message_size: 32 << 10,
            ..Settings::default()
        };
        Self {
            core: Core::new(settings, now),
            now,
            players: [const { None }; PLAYERS],
        }
    }

    /// A socket connects, in the place of one that is there.
    pub(crate) fn connect(&mut self, player: usize) {
        self.hang_up(player);
        let meter = Arc::new(Meter::default());
        self.players[player] = Some(Player {
            id: self.core.connect("fuzz".into(), meter.clone()),
            meter,
            choked: false,
            greeted: false,
            directive: Directive::Read,
            pending: Vec::new(),
            contents: HashMap::new(),
            heard: Vec::new(),
            lost: Vec::new(),
            tags: HashMap::new(),
        });
    }

    /// Connects, and gets as far as an open channel 1.
    pub(crate) fn open(&mut self, player: usize) {
        self.connect(player);
        self.read(player, &methods::opening());
        assert_eq!(self.directive(player), Some(Directive::Read));
    }

    pub(crate) fn directive(&self, player: usize) -> Option<Directive> {
        self.players[player].as_ref().map(|player| player.directive)
    }

    /// The last delivery tag that a client saw on a channel.
    pub(crate) fn last_tag(&self, player: usize, channel: u16) -> u64 {
        let player = self.players[player].as_ref();
        player
            .and_then(|player| player.tags.get(&channel).copied())
            .unwrap_or(0)
    }

    /// A client opens anew the channels that the broker closed.
    pub(crate) fn reopen(&mut self, player: usize) {
        let lost = self.players[player]
            .as_mut()
            .map(|player| std::mem::take(&mut player.lost));
        for channel in lost.into_iter().flatten() {
            self.read(player, &methods::reopening(channel));
        }
    }

    /// Bytes come from a client, all at once.
    pub(crate) fn read(&mut self, player: usize, bytes: &[u8]) {
        let Some(player) = &mut self.players[player] else {
            return;
        };
        if !matches!(player.directive, Directive::Read | Directive::AwaitClose) {
            return;
        }
        player.pending.extend_from_slice(bytes);
        let mut rest = &player.pending[..];
        if !player.greeted
            && let Some((header, more)) = rest.split_first_chunk::<8>()
        {
            self.core.greet(player.id, *header);
            player.greeted = true;
            rest = more;
        }
        if player.greeted {
            rest = feed(&mut self.core, player.id, rest, self.now);
        }
        player.pending = rest.to_vec();
        player.directive = self.core.end_batch(player.id);
        self.settle();
    }

    /// A socket closes.
    pub(crate) fn hang_up(&mut self, player: usize) {
        if let Some(player) = self.players[player].take() {
            self.core.disconnect(player.id, self.now);
            self.settle();
        }
    }

    pub(crate) fn pass(&mut self, milliseconds: u64) {
        self.now.instant += Duration::from_millis(milliseconds);
        self.now.unix += milliseconds / 1000;
        self.core.tick(self.now);
        let next = self.core.next_deadline();
        assert!(
            next.is_none_or(|next| next > self.now.instant),
            "time stands still"
        );
        self.settle();
    }

    /// A client stops to read what it is sent, or reads on.
    pub(crate) fn choke(&mut self, player: usize, choked: bool) {
        let Some(player) = &mut self.players[player] else {
            return;
        };
        match (std::mem::replace(&mut player.choked, choked), choked) {
            (false, true) => player.meter.add(CHOKE),
            (true, false) => player.meter.sub(CHOKE),
            _ => {}
        }
        if player.meter.relieves() {
            self.core.drained(player.id, self.now);
        }
        self.settle();
    }

    pub(crate) fn block(&mut self, blocked: bool) {
        self.core.set_block(blocked.then(|| "fuzzing".to_owned()));
        self.settle();
    }

    /// A client that did nothing wrong is served: it declares a queue, fills it and deletes it.
    pub(crate) fn witness(&mut self, player: usize) {
        if let Some(player) = &mut self.players[player] {
            player.heard.clear();
        }
        self.read(player, &methods::harmless());
        let heard = self.players[player]
            .as_ref()
            .map(|player| &player.heard[..]);
        assert_eq!(
            heard,
            Some(&[DECLARE_OK, DELETE_OK][..]),
            "the witness was hurt"
        );
    }

    /// Everybody leaves, all queues are deleted: nothing is left.
    pub(crate) fn finish(mut self) {
        (0..PLAYERS).for_each(|player| self.hang_up(player));
        self.core.delete_queues();
        self.core.assert_empty();
    }

    /// Hands on what the core has to say, and checks it and the core.
    fn settle(&mut self) {
        let players = &mut self.players;
        self.core.take_output(|id, out| {
            let bytes = std::mem::take(out);
            if let Some(player) = players.iter_mut().flatten().find(|player| player.id == id) {
                player.check(&bytes);
            }
        });
        for id in self.core.take_resumed() {
            let directive = self.core.directive(id);
            if let Some(player) = self
                .players
                .iter_mut()
                .flatten()
                .find(|player| player.id == id)
            {
                player.directive = directive;
            }
        }
        self.core.assert_consistent();
    }
}

/// Hands frames to the core until they run out; returns what is left. What panics is to be seen.
fn feed<'a>(core: &mut Core, id: ConnId, mut bytes: &'a [u8], now: Now) -> &'a [u8] {
    loop {
        match frames::next(bytes, core.agreed(id).frame_max) {
            Ok(None) => return bytes,
            Ok(Some((frame, length))) => {
                core.frame(id, &frame, now);
                bytes = &bytes[length..];
            }
            Err(bad) => {
                core.bad_frame(id, bad, now);
                return &[];
            }
        }
    }
}

impl Player {
    /// Remembers what it needs for what it says next.
    fn note(&mut self, channel: u16, method: &[u8]) {
        self.heard.extend(method.first_chunk());
        match method {
            [0, 20, 0, 40, ..] => self.lost.push(channel),
            [0, 60, 0, 60, len, rest @ ..] => {
                let tag = rest[usize::from(*len)..].first_chunk().unwrap();
                self.tags.insert(channel, u64::from_be_bytes(*tag));
            }
            _ => {}
        }
    }

    /// What the broker says is in frames, and every content is whole.
    fn check(&mut self, mut bytes: &[u8]) {
        if bytes == frames::PROTOCOL {
            return;
        }
        while !bytes.is_empty() {
            let (frame, length) = frames::next(bytes, 131_072).unwrap().expect("half a frame");
            // Properties pass through as they came, and may be no text.
            if frame.kind == frames::METHOD {
                assert!(parse_frame(&bytes[..length]).unwrap().0.is_empty());
                self.note(frame.channel, frame.payload);
            }
            let missing = self.contents.entry(frame.channel).or_insert(Some(0));
            match (frame.kind, *missing) {
                (frames::METHOD, Some(0)) => {
                    if matches!(frame.payload, [0, 60, 0, 50 | 60 | 71, ..]) {
                        *missing = None;
                    }
                }
                (frames::HEADER, None) => {
                    let size = frame.payload[4..].first_chunk().unwrap();
                    *missing = Some(u64::from_be_bytes(*size));
                }
                (frames::BODY, Some(left)) => {
                    let len = frame.payload.len() as u64;
                    *missing = Some(left.checked_sub(len).expect("more than announced"));
                }
                (kind, _) => panic!("a frame of type {kind} in the midst of a content"),
            }
            bytes = &bytes[length..];
        }
        assert!(
            self.contents.values().all(|missing| *missing == Some(0)),
            "half a content"
        );
    }
}

/// Frames of methods.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    channel: u16,
    methods: impl IntoIterator<Item = AMQPClass>,
) {
    methods
        .into_iter()
        .for_each(|method| frames::method(out, channel, method));
}
