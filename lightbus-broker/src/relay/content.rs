//! A message that comes in frames: a method, a header, bodies.

use crate::core::{Gauge, Index, Message, Partial, Publish, RESERVE, understand};
use std::sync::Arc;

/// So many bytes of messages are held, half received or remembered.
const MOST_BYTES: usize = 256 << 20;

/// What a message is there for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    Publish,
    Deliver(Delivery),
    Return,
}

/// What a delivery says besides its message.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    pub(super) queue: Arc<str>,
    /// `None` for `basic.get`.
    pub(super) consumer: Option<Arc<str>>,
    pub(super) tag: u64,
    pub(super) no_ack: bool,
    pub(super) redelivered: bool,
}

/// A message that is coming.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) purpose: Purpose,
    pub(super) mandatory: bool,
    exchange: Arc<str>,
    routing_key: Arc<str>,
    partial: Option<Partial>,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Progress {
    /// More is to come.
    More,
    Whole(Box<Message>),
    /// It is no message, or too large to be held.
    Lost,
}

impl Content {
    pub(super) fn new(purpose: Purpose, exchange: &str, routing_key: &str) -> Self {
        Self {
            purpose,
            mandatory: false,
            exchange: exchange.into(),
            routing_key: routing_key.into(),
            partial: None,
        }
    }

    pub(super) fn header(&mut self, payload: &[u8], gauge: &Gauge) -> Progress {
        let Some(([0, 60, _, _, size @ ..], properties)) = payload.split_first_chunk::<12>() else {
            return Progress::Lost;
        };
        let size = usize::try_from(u64::from_be_bytes(*size)).unwrap_or(usize::MAX);
        let Ok(index) = Index::scan(properties) else {
            return Progress::Lost;
        };
        if self.partial.is_some() || size.saturating_add(gauge.bytes()) > MOST_BYTES {
            return Progress::Lost;
        }
        let mut charge = gauge.charge();
        charge.grow(properties.len());
        self.partial = Some(Partial {
            publish: Publish {
                exchange: self.exchange.clone(),
                routing_key: self.routing_key.clone(),
                mandatory: self.mandatory,
            },
            properties: properties.to_vec(),
            index,
            size,
            body: Vec::with_capacity(size.min(RESERVE)),
            charge,
        });
        self.progress()
    }

    pub(super) fn body(&mut self, payload: &[u8]) -> Progress {
        match &mut self.partial {
            Some(partial) if payload.len() <= partial.size - partial.body.len() => {
                partial.charge.grow(payload.len());
                partial.body.extend_from_slice(payload);
                self.progress()
            }
            _ => Progress::Lost,
        }
    }

    fn progress(&mut self) -> Progress {
        let is_whole = |partial: &mut Partial| partial.body.len() == partial.size;
        match self.partial.take_if(is_whole) {
            None => Progress::More,
            // Its number is given when it is known which one it is.
            Some(partial) => match understand(partial, 0) {
                Ok(message) => Progress::Whole(Box::new(message)),
                Err(_) => Progress::Lost,
            },
        }
    }
}
