//! What one frame or moment entails, done after it, one after the other: nothing recurses.

use super::{
    Core,
    event::DeleteReason,
    ids::{At, QueueId},
    message::Message,
};
use amq_protocol::protocol::{AMQPClass, basic};
use std::sync::Arc;

/// Something that follows.
#[derive(Debug)]
pub(crate) enum Job {
    /// A queue may have something for its consumers.
    Serve(QueueId),
    /// A message died and goes to the dead letter exchange it now names.
    DeadLetter {
        vhost: Arc<str>,
        message: Box<Message>,
        /// Nobody rejected it, so that it must not go round in circles.
        automatic: bool,
    },
    /// A queue has dead letters to pass on that it must not lose.
    Forward(QueueId),
    /// A channel has credit for so many messages that it gave back, the last of them to that queue.
    Credit {
        at: At,
        lent: u32,
        last: Option<QueueId>,
    },
    /// A queue is gone, and a consumer with it.
    CancelNotify { at: At, tag: Arc<str> },
    /// The last consumer of a queue left.
    Abandoned(QueueId),
}

impl Core {
    /// Has a queue look whether it can serve a consumer.
    pub(super) fn wake(&mut self, queue: QueueId) {
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.stalled = false;
            self.jobs.push_back(Job::Serve(queue.id));
        }
    }

    pub(super) fn run_jobs(&mut self) {
        while let Some(job) = self.jobs.pop_front() {
            match job {
                Job::Serve(queue) => self.serve(queue),
                Job::DeadLetter {
                    vhost,
                    message,
                    automatic,
                } => self.dead_letter(&vhost, *message, automatic),
                Job::Forward(queue) => self.forward_held(queue),
                Job::Credit { at, lent, last } => self.restore_credit(at, lent, last),
                Job::CancelNotify { at, tag } => self.cancel_notify(at, &tag),
                Job::Abandoned(queue) => self.abandoned(queue),
            }
        }
    }

    fn cancel_notify(&mut self, at: At, tag: &str) {
        let Some(connection) = self.conns.get(&at.conn) else {
            return;
        };
        let open = connection
            .channels
            .get(&at.channel)
            .is_some_and(|channel| !channel.closing);
        if open && connection.client.cancel_notify {
            let cancel = basic::Cancel {
                consumer_tag: tag.into(),
                nowait: true,
            };
            self.send(at, AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel)));
        }
    }

    /// Deletes an abandoned queue if it was declared so, or starts to count the time it is unused.
    fn abandoned(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        if !queue.consumers.is_empty() {
            return;
        }
        queue.last_used = self.now.instant;
        if queue.auto_delete {
            self.delete_queue(id, DeleteReason::AutoDelete);
        } else {
            self.arm_unused(id);
        }
    }
}
