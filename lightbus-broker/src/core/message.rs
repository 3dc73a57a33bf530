//! Messages, shared between the queues they lie in, and the account of the memory they hold.

use super::{
    deaths::Deaths,
    properties::{Field, Index},
    tables,
};
use amq_protocol::types::FieldTable;
use std::{
    cell::OnceCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// What one message costs besides its body and properties, roughly.
pub(crate) const OVERHEAD: usize = 256;

/// The bytes held by all messages, wherever they lie: ready, unacknowledged, half received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Arc<AtomicUsize>);

impl Gauge {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Starts an account that is settled when it is dropped.
    pub(crate) fn charge(&self) -> Charge {
        let mut charge = Charge {
            gauge: self.clone(),
            bytes: 0,
        };
        charge.grow(OVERHEAD);
        charge
    }
}

/// One body's share of the gauge.
#[derive(Debug)]
pub(crate) struct Charge {
    gauge: Gauge,
    bytes: usize,
}

impl Charge {
    #[cfg(any(test, fuzzing))]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.gauge.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.gauge.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body, shared by every copy of its message.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Box<[u8]>,
    /// Settled when the last copy is gone.
    pub(crate) _charge: Charge,
}

/// A message as it was published, or as it was rewritten when it died. There may be millions: nothing in it has room to
/// spare.
#[derive(Clone)]
pub struct Message {
    /// Unlike that of any other message ever published.
    pub(crate) number: u64,
    pub(crate) exchange: Arc<str>,
    pub(crate) routing_key: Arc<str>,
    /// Further keys: those of the `CC` header, then those of `BCC`.
    pub(crate) copies: Box<[Arc<str>]>,
    /// How many of them anybody is to see.
    pub(crate) shown_copies: u32,
    /// The property list as it goes onto the wire.
    pub(crate) properties: Box<[u8]>,
    pub(crate) body: Arc<Body>,
    /// The `expiration` property, in milliseconds.
    pub(crate) expiration: Option<u64>,
    pub(crate) priority: u8,
    pub(crate) persistent: bool,
    pub(crate) deaths: Option<Arc<Deaths>>,
}

impl Message {
    /// The keys anybody is to see: its own, and those of `CC`. As in RabbitMQ each key of `BCC` hides the first that is
    /// the same, whosever it is.
    pub(crate) fn shown_keys(&self) -> impl Iterator<Item = &Arc<str>> {
        let hidden = self.copies.iter().skip(self.shown_copies as usize);
        let mut hidden: Vec<_> = hidden.collect();
        let all = std::iter::once(&self.routing_key).chain(&self.copies);
        all.filter(
            move |key| match hidden.iter().position(|other| other == key) {
                Some(at) => {
                    hidden.swap_remove(at);
                    false
                }
                None => true,
            },
        )
    }

    /// What it counts towards `x-max-length-bytes`.
    pub(crate) fn size(&self) -> usize {
        self.body.bytes.len()
    }
}

/// A message's headers, decoded only when something looks at them.
#[derive(Debug)]
pub(crate) struct Headers<'a> {
    properties: &'a [u8],
    table: OnceCell<FieldTable>,
}

impl<'a> Headers<'a> {
    pub(crate) fn of(properties: &'a [u8]) -> Self {
        Self {
            properties,
            table: OnceCell::new(),
        }
    }

    pub(crate) fn table(&self) -> &FieldTable {
        self.table.get_or_init(|| {
            let index = Index::scan(self.properties).unwrap_or_default();
            index
                .wire(self.properties, Field::Headers)
                .and_then(tables::decode)
                .unwrap_or_default()
        })
    }
}
