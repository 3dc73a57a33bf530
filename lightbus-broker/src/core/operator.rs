//! What is done to clients from outside, as an operator would: closing, cancelling, deleting, restarting.

use super::{
    Core, Now,
    connection::Phase,
    errors::{Fault, Scope},
    event::{CancelReason, DeleteReason, DropReason, EventKind},
    ids::{At, ConnId, QueueId},
    jobs::Job,
};
use crate::queue_type::QueueType;

impl Core {
    /// The open connections whose client calls itself so.
    pub(crate) fn named(&self, name: &str) -> Vec<ConnId> {
        let is = |id: &&ConnId| {
            let connection = self.conns.get(id);
            connection.is_some_and(|c| {
                c.phase == Phase::Running && c.client.name.as_deref() == Some(name)
            })
        };
        let ids: Vec<_> = self.connections();
        ids.iter().filter(is).copied().collect()
    }

    /// Closes a connection with a code.
    pub(crate) fn force_close(&mut self, conn: ConnId, code: u16, text: &str, now: Now) {
        self.now = now;
        let fault = Fault {
            scope: Scope::Connection,
            code,
            text: text.to_owned(),
            against: None,
        };
        self.fail(At { conn, channel: 0 }, &fault, (0, 0));
        self.run_jobs();
    }

    /// Closes a channel with a code; `false` if there is no such channel.
    pub(crate) fn force_close_channel(&mut self, at: At, code: u16, text: &str, now: Now) -> bool {
        self.now = now;
        if self.channel_mut(at).is_none_or(|channel| channel.closing) {
            return false;
        }
        let fault = Fault {
            scope: Scope::Channel,
            code,
            text: text.to_owned(),
            against: None,
        };
        self.fail(at, &fault, (0, 0));
        self.run_jobs();
        true
    }

    /// Cancels the consumers of a queue that have this tag, and tells their clients. Says how many there were.
    pub(crate) fn force_cancel(&mut self, queue: &str, tag: &str, now: Now) -> usize {
        self.now = now;
        let mut count = 0;
        for id in self.queues_named(queue) {
            let found: Vec<_> = self.queues.get(&id).map_or_else(Vec::new, |queue| {
                let tagged = queue.consumers.iter().filter(|c| &*c.tag == tag);
                tagged.cloned().collect()
            });
            for consumer in &found {
                self.note_consumer(consumer.at, id, &consumer.tag, Some(CancelReason::Operator));
                if let Some(queue) = self.queues.get_mut(&id) {
                    queue.forget(consumer.id);
                }
                if let Some(channel) = self.channel_mut(consumer.at) {
                    channel.consumers.remove(tag);
                }
                let (at, tag) = (consumer.at, consumer.tag.clone());
                self.jobs.push_back(Job::CancelNotify { at, tag });
                self.jobs.push_back(Job::Abandoned(id));
                self.wake(id);
            }
            count += found.len();
        }
        self.run_jobs();
        count
    }

    /// Deletes all queues of a name, whoever uses them. Says how many there were.
    pub(crate) fn force_delete(&mut self, queue: &str, now: Now) -> usize {
        self.now = now;
        let ids = self.queues_named(queue);
        for id in &ids {
            self.delete_queue(*id, DeleteReason::Operator);
        }
        self.run_jobs();
        ids.len()
    }

    /// Does to queues, exchanges and messages what a restart of the node does, once all connections are gone.
    pub(crate) fn restart(&mut self, now: Now) {
        self.now = now;
        let queues: Vec<_> = self.queues.keys().copied().collect();
        for id in queues {
            match self.queues.get_mut(&id) {
                Some(queue) if queue.durable => {
                    queue.last_used = now.instant;
                    if queue.arguments.kind == QueueType::Classic {
                        self.drop_transient(id);
                    }
                    self.arm_unused(id);
                }
                _ => self.delete_queue(id, DeleteReason::Restart),
            }
        }
        let mut transient = Vec::new();
        for (name, vhost) in &self.vhosts {
            let gone = vhost
                .exchanges
                .values()
                .filter(|exchange| !exchange.durable);
            transient.extend(gone.map(|exchange| (name.clone(), exchange.id)));
        }
        for (vhost, id) in transient {
            self.delete_exchange(&vhost, id);
        }
        self.run_jobs();
        self.weigh_memory();
    }

    /// Drops the messages of a queue that nobody asked to be kept.
    fn drop_transient(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let all: Vec<_> = std::iter::from_fn(|| queue.ready.pop()).collect();
        let (kept, gone): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|entry| entry.message.persistent);
        kept.into_iter()
            .for_each(|entry| queue.ready.restore(entry));
        queue.counters.dropped += gone.len() as u64;
        let name = queue.full_name();
        for entry in gone {
            self.note(|_| EventKind::Dropped {
                message: entry.message.clone(),
                queue: Some(name.clone()),
                why: DropReason::Restart,
            });
        }
    }
}
