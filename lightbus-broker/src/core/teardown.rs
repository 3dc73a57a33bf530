//! The end of channels and connections: consumers leave, messages go back, exclusive queues vanish.

use super::{
    Core,
    event::{CancelReason, DeleteReason},
    ids::{At, ConnId},
    jobs::Job,
    tx::Tx,
};

impl Core {
    /// The broker closes a channel and waits for the client to confirm.
    pub(super) fn close_channel(&mut self, at: At) {
        self.release(at);
        if let Some(channel) = self.channel_mut(at) {
            channel.closing = true;
        }
    }

    /// A client closes a channel.
    pub(super) fn end_channel(&mut self, at: At) {
        self.release(at);
        let Some(connection) = self.conns.get_mut(&at.conn) else {
            return;
        };
        connection.channels.remove(&at.channel);
    }

    /// A client confirms that a channel is closed.
    pub(super) fn confirm_close(&mut self, at: At) {
        if let Some(connection) = self.conns.get_mut(&at.conn)
            && connection
                .channels
                .get(&at.channel)
                .is_some_and(|channel| channel.closing)
        {
            connection.channels.remove(&at.channel);
        }
    }

    /// Ends everything a connection has in the broker.
    pub(super) fn tear_down(&mut self, conn: ConnId) {
        let Some(connection) = self.conns.get_mut(&conn) else {
            return;
        };
        let channels: Vec<_> = connection.channels.keys().copied().collect();
        let exclusive = std::mem::take(&mut connection.exclusive);
        connection.confirming.clear();
        for channel in &channels {
            self.drop_consumers(At {
                conn,
                channel: *channel,
            });
        }
        exclusive
            .into_iter()
            .for_each(|queue| self.delete_queue(queue, DeleteReason::Exclusive));
        for channel in channels {
            self.end_channel(At { conn, channel });
        }
    }

    /// Takes a channel out of all queues, and its messages back into them.
    fn release(&mut self, at: At) {
        self.drop_consumers(at);
        let Some(channel) = self.channel_mut(at) else {
            return;
        };
        channel.incoming = super::channel::Incoming::Method;
        channel.confirms = None;
        channel.lent = 0;
        let mut taken: Vec<_> = channel.unacked.drain(..).collect();
        taken.extend(channel.tx.take().into_iter().flat_map(Tx::unsettled));
        self.requeue_all(at, taken);
    }

    fn drop_consumers(&mut self, at: At) {
        self.end_replies(at, None);
        let Some(channel) = self.channel_mut(at) else {
            return;
        };
        for (tag, (queue, consumer)) in std::mem::take(&mut channel.consumers) {
            self.note_consumer(at, queue, &tag, Some(CancelReason::ChannelClosed));
            if let Some(queue) = self.queues.get_mut(&queue) {
                queue.forget(consumer);
                self.jobs.push_back(Job::Abandoned(queue.id));
                // With a single active consumer, the next one's turn has come.
                queue.stalled = false;
                self.jobs.push_back(Job::Serve(queue.id));
            }
        }
    }
}
