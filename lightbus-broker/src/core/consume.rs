//! Consuming and cancelling, and how much may be in flight.

use super::{
    Core,
    consumer::Consumer,
    errors::{Outcome, not_allowed, not_found},
    event::CancelReason,
    ids::At,
    jobs::Job,
    queue,
    reply_to::PSEUDO_QUEUE,
    subscription::{Credit, Subscription},
};
use crate::queue_type::QueueType;
use amq_protocol::protocol::{AMQPClass, basic};
use std::sync::Arc;

impl Core {
    pub(super) fn qos(&mut self, at: At, qos: &basic::Qos) {
        let mut shared = Vec::new();
        if let Some(channel) = self.channel_mut(at) {
            // A prefetch for each consumer puts an end to the one for all of them.
            let limit = if qos.global { qos.prefetch_count } else { 0 };
            if !qos.global {
                channel.prefetch = qos.prefetch_count;
            }
            if channel.limit != limit {
                channel.limit = limit;
                shared.extend(channel.consumers.values().map(|(queue, _)| *queue));
            }
        }
        self.send(
            at,
            AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})),
        );
        shared.into_iter().for_each(|queue| self.wake(queue));
    }

    pub(super) fn consume(&mut self, at: At, consume: &basic::Consume) -> Outcome {
        // What the empty name stands for is asked first.
        let name = self.queue_name(at, consume.queue.as_str())?;
        let tag = self.consumer_tag(at, consume.consumer_tag.as_str())?;
        if &*name == PSEUDO_QUEUE {
            return self.consume_replies(at, consume, &tag);
        }
        let id = self.find_queue(at, &name)?;
        let (consumer_id, now) = (self.consumer_id(), self.now.unix);
        let credit = self.credit(at);
        let Some(queue) = self.queues.get_mut(&id) else {
            return Ok(());
        };
        let subscription = Subscription::read(queue, consume, credit, now)?;
        queue.consumers.add(Consumer {
            id: consumer_id,
            at,
            tag: tag.clone(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch: credit.prefetch,
            unacked: 0,
            priority: subscription.priority,
            limited: queue.arguments.kind == QueueType::Classic,
            passed_over: false,
        });
        if let Some(stream) = &mut queue.stream {
            stream.attach(consumer_id, subscription.start, subscription.filter);
        }
        self.watch_acks(id);
        if let Some(channel) = self.channel_mut(at) {
            channel.consumers.insert(tag.clone(), (id, consumer_id));
        }
        self.note_consumer(at, id, &tag, None);
        if !consume.nowait {
            let ok = basic::ConsumeOk {
                consumer_tag: tag.as_ref().into(),
            };
            self.send(at, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)));
        }
        self.wake(id);
        Ok(())
    }

    fn credit(&mut self, at: At) -> Credit {
        let (prefetch, limit) = self
            .channel_mut(at)
            .map_or((0, 0), |channel| (channel.prefetch, channel.limit));
        Credit { prefetch, limit }
    }

    fn consumer_tag(&mut self, at: At, wanted: &str) -> Outcome<Arc<str>> {
        if wanted.is_empty() {
            return Ok(self.fresh_name("amq.ctag-"));
        }
        match self.channel_mut(at) {
            Some(channel) if channel.consumers.contains_key(wanted) => Err(not_allowed(format!(
                "attempt to reuse consumer tag '{wanted}'"
            ))),
            _ => Ok(Arc::from(wanted)),
        }
    }

    pub(super) fn cancel(&mut self, at: At, cancel: &basic::Cancel) {
        let tag = cancel.consumer_tag.as_str();
        // One that takes direct replies may have the tag of another, and goes first.
        let gone = match self.end_replies(at, Some(tag)) {
            true => None,
            false => self
                .channel_mut(at)
                .and_then(|channel| channel.consumers.remove(tag)),
        };
        if !cancel.nowait {
            let ok = basic::CancelOk {
                consumer_tag: cancel.consumer_tag.clone(),
            };
            self.send(at, AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)));
        }
        let Some((id, consumer)) = gone else {
            return;
        };
        self.note_consumer(at, id, &Arc::from(tag), Some(CancelReason::Client));
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.forget(consumer);
            self.jobs.push_back(Job::Abandoned(id));
            self.wake(id);
        }
    }

    /// The queue a client means, if it may use it. The empty name is the queue the channel declared last.
    pub(super) fn find_queue(&mut self, at: At, name: &str) -> Outcome<super::QueueId> {
        let name = self.queue_name(at, name)?;
        self.find_queue_named(at, &name)
    }

    pub(super) fn find_queue_named(&self, at: At, name: &str) -> Outcome<super::QueueId> {
        let Some(connection) = self.conns.get(&at.conn) else {
            return Err(not_found("no connection"));
        };
        let vhost = connection.vhost.clone();
        let id = self
            .vhosts
            .get(&vhost)
            .and_then(|vhost| vhost.queue_names.get(name).copied());
        match id.and_then(|id| self.queues.get(&id)) {
            None => Err(not_found(format!("no {}", queue::subject(name, &vhost)))),
            Some(queue) => {
                super::queue_methods::assert_access(queue, at.conn)?;
                Ok(queue.id)
            }
        }
    }

    pub(super) fn queue_name(&mut self, at: At, name: &str) -> Outcome<Arc<str>> {
        if !name.is_empty() {
            return Ok(Arc::from(name));
        }
        let last = self
            .channel_mut(at)
            .and_then(|channel| channel.last_queue.clone());
        last.ok_or_else(|| not_found("no previously declared queue"))
    }
}
