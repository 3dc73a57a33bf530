//! What is known of a connection that passes through a relay.

use super::content::Content;
use crate::core::{ConnId, ConnectionName, Message};
use amq_protocol::protocol::AMQPClass;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

/// So many methods of a channel may be without an answer; of those before, the answers mean nothing.
const MOST_ASKED: usize = 65_536;

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: u64,
    pub(super) name: Option<Arc<str>>,
    pub(super) product: Option<String>,
    pub(super) peer: String,
    pub(super) user: Arc<str>,
    pub(super) vhost: Arc<str>,
    pub(super) is_open: bool,
    pub(super) is_blocked: bool,
    pub(super) channels: BTreeMap<u16, Channel>,
}

/// One of its channels.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// What the client asked and the broker has not answered yet.
    asked: VecDeque<AMQPClass>,
    /// A message that is coming from the client.
    pub(super) sending: Option<Content>,
    /// A message that is coming from the broker.
    pub(super) receiving: Option<Content>,
    pub(super) confirms: Option<Confirms>,
    pub(super) consumers: BTreeMap<Arc<str>, Subscription>,
    pub(super) unacked: BTreeMap<u64, Unacked>,
    /// The queue that was declared last, which the empty name means.
    pub(super) last_queue: Arc<str>,
}

/// What the broker has not confirmed.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    last: u64,
    open: BTreeMap<u64, Arc<Message>>,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) queue: Arc<str>,
    pub(super) no_ack: bool,
    pub(super) exclusive: bool,
}

#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) queue: Arc<str>,
    pub(super) message: Arc<Message>,
}

impl Client {
    pub(super) fn new(id: u64, peer: String) -> Self {
        Self {
            id,
            name: None,
            product: None,
            peer,
            user: "".into(),
            vhost: "".into(),
            is_open: false,
            is_blocked: false,
            channels: BTreeMap::new(),
        }
    }

    pub(super) fn connection(&self) -> ConnectionName {
        ConnectionName::new(ConnId(self.id), self.name.as_ref())
    }

    /// Whether the broker owes it a word, or a message is half on its way to the broker.
    pub(super) fn is_owed(&self) -> bool {
        let owed = |channel: &Channel| {
            let confirms = channel.confirms.as_ref();
            channel.sending.is_some() || confirms.is_some_and(|confirms| !confirms.open.is_empty())
        };
        self.channels.values().any(owed)
    }
}

impl Channel {
    /// The queue a client means.
    pub(super) fn named(&self, queue: &str) -> Arc<str> {
        match queue {
            "" => self.last_queue.clone(),
            name => name.into(),
        }
    }

    pub(super) fn ask(&mut self, method: AMQPClass) {
        if self.asked.len() == MOST_ASKED {
            self.asked.pop_front();
        }
        self.asked.push_back(method);
    }

    /// The first method that this answers.
    pub(super) fn answered(&mut self, is: impl Fn(&AMQPClass) -> bool) -> Option<AMQPClass> {
        let at = self.asked.iter().position(is)?;
        self.asked.remove(at)
    }

    /// Takes what a tag settles: one delivery, or all up to it.
    pub(super) fn settle(&mut self, tag: u64, multiple: bool) -> Vec<Unacked> {
        if !multiple {
            return self.unacked.remove(&tag).into_iter().collect();
        }
        let left = match tag {
            0 => BTreeMap::new(),
            tag => self.unacked.split_off(&tag.saturating_add(1)),
        };
        let settled = std::mem::replace(&mut self.unacked, left);
        settled.into_values().collect()
    }
}

impl Confirms {
    pub(super) fn published(&mut self, message: &Arc<Message>) {
        self.last += 1;
        self.open.insert(self.last, message.clone());
    }

    /// A message was published that could not be read: it has its number all the same.
    pub(super) fn skipped(&mut self) {
        self.last += 1;
    }

    /// Takes what a tag answers: one message, or all up to it.
    pub(super) fn confirmed(&mut self, tag: u64, multiple: bool) -> Vec<Arc<Message>> {
        if !multiple {
            return self.open.remove(&tag).into_iter().collect();
        }
        let left = self.open.split_off(&tag.saturating_add(1));
        let answered = std::mem::replace(&mut self.open, left);
        answered.into_values().collect()
    }
}
