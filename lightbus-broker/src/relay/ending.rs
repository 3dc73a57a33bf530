//! The end of consumers, channels, connections and queues, and what goes back to its queue then.

use super::{
    client::{Client, Subscription, Unacked},
    ledger::{Ledger, Place},
};
use crate::core::{
    CancelReason, CloseReason, ConnectionName, DeleteReason, EventKind, Message, QueueName,
};
use std::{collections::BTreeMap, sync::Arc};

impl Ledger {
    /// A connection ends.
    pub(super) fn disconnect(&mut self, id: u64, why: CloseReason) {
        let Some(client) = self.clients.get(&id) else {
            return;
        };
        if client.is_open {
            let connection = client.connection();
            self.note(EventKind::ConnectionClosed { connection, why });
        }
        self.changed();
        let channels = self.clients.get(&id).map(|client| &client.channels);
        let channels: Vec<_> = channels
            .into_iter()
            .flat_map(BTreeMap::keys)
            .copied()
            .collect();
        for channel in &channels {
            let channel = *channel;
            self.drop_consumers(Place {
                client: id,
                channel,
            });
        }
        self.drop_exclusive(id);
        for channel in channels {
            self.end_channel(Place {
                client: id,
                channel,
            });
        }
        self.clients.remove(&id);
    }

    fn drop_exclusive(&mut self, client: u64) {
        let Some(places) = self.places(client) else {
            return;
        };
        let owned = places
            .queues
            .iter()
            .filter(|(_, queue)| queue.owner == Some(client));
        let owned: Vec<_> = owned.map(|(name, _)| name.clone()).collect();
        for queue in owned {
            self.delete_queue(client, &queue, DeleteReason::Exclusive);
        }
    }

    /// A queue is gone, and with it its consumers and what they had.
    pub(super) fn delete_queue(&mut self, client: u64, queue: &Arc<str>, why: DeleteReason) {
        let Some(vhost) = self.clients.get(&client).map(|client| client.vhost.clone()) else {
            return;
        };
        let mut cancelled = Vec::new();
        for client in self
            .clients
            .values_mut()
            .filter(|client| client.vhost == vhost)
        {
            let connection = client.connection();
            for (number, channel) in &mut client.channels {
                channel.unacked.retain(|_, unacked| unacked.queue != *queue);
                let gone = channel
                    .consumers
                    .iter()
                    .filter(|(_, it)| it.queue == *queue);
                cancelled.extend(gone.map(|(tag, _)| (connection.clone(), *number, tag.clone())));
                channel.consumers.retain(|_, it| it.queue != *queue);
            }
        }
        let Some(places) = self.vhosts.get_mut(&vhost) else {
            return;
        };
        let name = places.queue_name(queue);
        let deleted = places.delete_queue(queue, why);
        for (connection, channel, consumer) in cancelled {
            self.note(EventKind::ConsumerCancelled {
                connection,
                channel,
                consumer,
                queue: name.clone(),
                why: CancelReason::QueueDeleted,
            });
        }
        self.note_if(deleted);
    }

    /// A channel ends: its consumers leave, and what it has not settled goes back.
    pub(super) fn end_channel(&mut self, at: Place) {
        self.drop_consumers(at);
        self.changed();
        let client = self.clients.get_mut(&at.client);
        let Some(channel) = client.and_then(|client| client.channels.remove(&at.channel)) else {
            return;
        };
        self.requeue(at, channel.unacked.into_values().collect());
    }

    fn drop_consumers(&mut self, at: Place) {
        let Some(channel) = self.channel(at) else {
            return;
        };
        for (tag, subscription) in std::mem::take(&mut channel.consumers) {
            self.unsubscribed(at, tag, subscription, CancelReason::ChannelClosed);
        }
    }

    /// A consumer left.
    pub(super) fn unsubscribed(
        &mut self,
        at: Place,
        consumer: Arc<str>,
        subscription: Subscription,
        why: CancelReason,
    ) {
        let Some(connection) = self.clients.get(&at.client).map(Client::connection) else {
            return;
        };
        let Some(places) = self.places(at.client) else {
            return;
        };
        let name = subscription.queue;
        let queue = places.queue_name(&name);
        let mut is_over = false;
        if let Some(queue) = places.queues.get_mut(&name) {
            queue.consumers = queue.consumers.saturating_sub(1);
            is_over = queue.auto_delete && queue.consumers == 0;
        }
        self.note(EventKind::ConsumerCancelled {
            connection,
            channel: at.channel,
            consumer,
            queue,
            why,
        });
        if is_over {
            self.delete_queue(at.client, &name, DeleteReason::AutoDelete);
        }
    }

    /// Messages go back to their queues.
    pub(super) fn requeue(&mut self, at: Place, unacked: Vec<Unacked>) {
        for one in unacked {
            self.ties.requeued(one.message.number(), &one.queue);
            self.settled(at, one, |message, queue, connection, channel| {
                EventKind::Requeued {
                    message,
                    queue,
                    connection,
                    channel,
                }
            });
        }
    }

    /// Notes what a client did with a message it had.
    pub(super) fn settled(
        &mut self,
        at: Place,
        unacked: Unacked,
        what: impl FnOnce(Arc<Message>, QueueName, ConnectionName, u16) -> EventKind,
    ) {
        let Some(connection) = self.clients.get(&at.client).map(Client::connection) else {
            return;
        };
        if let Some(places) = self.places(at.client) {
            let queue = places.queue_name(&unacked.queue);
            self.note(what(unacked.message, queue, connection, at.channel));
        }
    }
}
