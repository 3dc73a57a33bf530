//! Dead letters: a message that a queue gives up goes on to the exchange the queue names, with its history.

use super::{
    Core,
    deaths::{Death, Reason},
    ids::QueueId,
    jobs::Job,
    message::Message,
    properties::{Field, Index},
    ready::Entry,
    tables,
    vhost::Route,
};
use std::sync::Arc;

impl Core {
    /// A queue gives up a message.
    pub(super) fn bury(&mut self, id: QueueId, entry: &Entry, reason: Reason) {
        if reason == Reason::Expired {
            self.book_expired(id, &entry.message);
        }
        self.bury_message(id, &entry.message, reason);
    }

    pub(super) fn bury_message(&mut self, id: QueueId, message: &Arc<Message>, reason: Reason) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let Some(exchange) = &queue.arguments.dead_letter_exchange else {
            queue.counters.dropped += 1;
            return self.note_dropped(id, message, reason.into());
        };
        queue.counters.dead_lettered += 1;
        let death = Death {
            queue: queue.name.clone(),
            reason,
            exchange: message.exchange.clone(),
            keys: message.shown_keys().cloned().collect(),
            time: self.now.unix,
            expiration: message.expiration,
            count: 1,
        };
        let key = queue.arguments.dead_letter_key.as_ref();
        let (letter, automatic) = (
            rewrite(message, death, exchange, key),
            reason != Reason::Rejected,
        );
        if queue.arguments.at_least_once {
            return self.hold(id, letter, automatic);
        }
        let job = Job::DeadLetter {
            vhost: queue.vhost.clone(),
            message: Box::new(letter),
            automatic,
        };
        self.jobs.push_back(job);
    }

    /// The queues a dead letter goes to, but for those where it would go round in circles.
    pub(super) fn targets_of_letter(
        &self,
        vhost: &str,
        message: &Message,
        automatic: bool,
    ) -> Vec<QueueId> {
        let vhost = self.vhosts.get(vhost);
        let mut route = vhost.map_or_else(Route::default, |vhost| vhost.route(message));
        route
            .queues
            .retain(|id| !(automatic && self.is_cycle(*id, message)));
        route.queues
    }

    /// Routes a dead letter. Where nothing takes it, it is gone.
    pub(super) fn dead_letter(&mut self, vhost: &str, message: Message, automatic: bool) {
        let targets = self.targets_of_letter(vhost, &message, automatic);
        let message = Arc::new(message);
        self.note_dead_letter(vhost, &message, &targets);
        for id in targets {
            if !self.enqueue(id, &message) {
                tracing::debug!(exchange = %message.exchange, key = %message.routing_key, "dead letter refused");
            }
        }
    }

    fn is_cycle(&self, id: QueueId, message: &Message) -> bool {
        match (self.queues.get(&id), &message.deaths) {
            (Some(queue), Some(deaths)) => deaths.is_cycle(&queue.name),
            _ => false,
        }
    }
}

/// The message as its dead letter exchange gets it.
fn rewrite(
    message: &Message,
    death: Death,
    exchange: &Arc<str>,
    key: Option<&Arc<str>>,
) -> Message {
    let mut deaths = message.deaths.as_deref().cloned().unwrap_or_default();
    deaths.record(death);
    let index = Index::scan(&message.properties).unwrap_or_default();
    let headers = index
        .wire(&message.properties, Field::Headers)
        .and_then(tables::decode)
        .unwrap_or_default();
    let changes = [
        (Field::Headers, Some(deaths.encode(&headers))),
        (Field::Expiration, None),
    ];
    Message {
        number: message.number,
        exchange: exchange.clone(),
        routing_key: key.unwrap_or(&message.routing_key).clone(),
        // A key of the queue's own takes the place of all there were.
        copies: if key.is_some() {
            Box::default()
        } else {
            message.copies.clone()
        },
        shown_copies: message.shown_copies,
        properties: index.splice(&message.properties, &changes).into(),
        body: message.body.clone(),
        expiration: None,
        priority: message.priority,
        persistent: message.persistent,
        deaths: Some(Arc::new(deaths)),
    }
}
