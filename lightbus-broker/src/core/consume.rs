//! Consuming and cancelling, and how much may be in flight.

use super::{
    Core,
    arguments::integer,
    consumer::Consumer,
    errors::{Outcome, access_refused, not_allowed, not_found, precondition_failed},
    ids::At,
    jobs::Job,
    queue::{self, Queue},
    reply_to::PSEUDO_QUEUE,
};
use amq_protocol::{
    protocol::{AMQPClass, basic},
    types::FieldTable,
};
use std::sync::Arc;

impl Core {
    pub(super) fn qos(&mut self, at: At, qos: &basic::Qos) {
        let mut shared = Vec::new();
        if let Some(channel) = self.channel_mut(at) {
            if qos.global {
                channel.limit = qos.prefetch_count;
                shared.extend(channel.consumers.values().map(|(queue, _)| *queue));
            } else {
                channel.prefetch = qos.prefetch_count;
            }
        }
        self.send(
            at,
            AMQPClass::Basic(basic::AMQPMethod::QosOk(basic::QosOk {})),
        );
        shared.into_iter().for_each(|queue| self.wake(queue));
    }

    pub(super) fn consume(&mut self, at: At, consume: &basic::Consume) -> Outcome {
        let tag = self.consumer_tag(at, consume.consumer_tag.as_str())?;
        if consume.queue.as_str() == PSEUDO_QUEUE {
            return self.consume_replies(at, consume, &tag);
        }
        let id = self.find_queue(at, consume.queue.as_str())?;
        let priority = priority(&consume.arguments)?;
        let consumer_id = self.consumer_id();
        let prefetch = self.channel_mut(at).map_or(0, |channel| channel.prefetch);
        let Some(queue) = self.queues.get_mut(&id) else {
            return Ok(());
        };
        assert_not_exclusive(queue, consume.exclusive)?;
        queue.consumers.add(Consumer {
            id: consumer_id,
            at,
            tag: tag.clone(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch,
            unacked: 0,
            priority,
        });
        if let Some(channel) = self.channel_mut(at) {
            channel.consumers.insert(tag.clone(), (id, consumer_id));
        }
        if !consume.nowait {
            let ok = basic::ConsumeOk {
                consumer_tag: tag.as_ref().into(),
            };
            self.send(at, AMQPClass::Basic(basic::AMQPMethod::ConsumeOk(ok)));
        }
        self.wake(id);
        Ok(())
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
        let gone = self
            .channel_mut(at)
            .and_then(|channel| channel.consumers.remove(cancel.consumer_tag.as_str()));
        if !cancel.nowait {
            let ok = basic::CancelOk {
                consumer_tag: cancel.consumer_tag.clone(),
            };
            self.send(at, AMQPClass::Basic(basic::AMQPMethod::CancelOk(ok)));
        }
        let Some((id, consumer)) = gone else {
            return self.end_replies(at, Some(cancel.consumer_tag.as_str()));
        };
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.consumers.remove(consumer);
            self.jobs.push_back(Job::Abandoned(id));
            self.wake(id);
        }
    }

    /// The queue a client means, if it may use it. The empty name is the queue the channel declared last.
    pub(super) fn find_queue(&mut self, at: At, name: &str) -> Outcome<super::QueueId> {
        let name = self.queue_name(at, name)?;
        let Some(connection) = self.conns.get(&at.conn) else {
            return Err(not_found("no connection"));
        };
        let vhost = connection.vhost.clone();
        let id = self
            .vhosts
            .get(&vhost)
            .and_then(|vhost| vhost.queue_names.get(&name).copied());
        match id.and_then(|id| self.queues.get(&id)) {
            None => Err(not_found(format!("no {}", queue::subject(&name, &vhost)))),
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

/// Refuses a consumer where one wants to be alone.
fn assert_not_exclusive(queue: &Queue, wants_it: bool) -> Outcome {
    let others = !queue.consumers.is_empty();
    if (wants_it && others) || queue.consumers.iter().any(|other| other.exclusive) {
        return Err(access_refused(format!(
            "{} in exclusive use",
            queue.subject()
        )));
    }
    Ok(())
}

fn priority(arguments: &FieldTable) -> Outcome<i32> {
    let Some(value) = arguments.inner().get("x-priority") else {
        return Ok(0);
    };
    let priority = integer(value).and_then(|priority| i32::try_from(priority).ok());
    priority
        .ok_or_else(|| precondition_failed("invalid arg 'x-priority' for consumer: not an integer"))
}
