//! The queue class.

use super::{
    Core,
    arguments::{assert_equal, assert_same},
    errors::{Outcome, access_refused, not_found, precondition_failed, resource_locked},
    exchange::{self, Target},
    headers,
    ids::{At, ConnId, QueueId},
    jobs::Job,
    queue::{Declaration, Queue, subject},
    queue_arguments::{COMPARED, Kind, QueueArguments},
    reply_to::PSEUDO_QUEUE,
};
use amq_protocol::protocol::{AMQPClass, queue};
use std::sync::Arc;

/// Refuses the use of another connection's exclusive queue.
pub(super) fn assert_access(queue: &Queue, conn: ConnId) -> Outcome {
    match queue.owner {
        Some(owner) if owner != conn => Err(resource_locked(format!(
            "cannot obtain exclusive access to locked {}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
            queue.subject()
        ))),
        _ => Ok(()),
    }
}

impl Core {
    pub(super) fn queue_declare(&mut self, at: At, declare: queue::Declare) -> Outcome {
        if declare.queue.as_str().starts_with(PSEUDO_QUEUE) {
            return self.declare_reply_queue(at, &declare);
        }
        let nowait = declare.nowait;
        let id = if declare.passive {
            self.find_queue(at, declare.queue.as_str())?
        } else {
            self.declare_queue(at, declare)?
        };
        let Some(queue) = self.queues.get_mut(&id) else {
            return Ok(());
        };
        queue.last_used = self.now.instant;
        let ok = queue::DeclareOk {
            queue: queue.name.as_ref().into(),
            message_count: queue.ready.len() as u32,
            consumer_count: queue.consumers.len() as u32,
        };
        let name = queue.name.clone();
        if let Some(channel) = self.channel_mut(at) {
            channel.last_queue = Some(name);
        }
        self.arm_unused(id);
        if !nowait {
            self.send(at, AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)));
        }
        Ok(())
    }

    fn declare_queue(&mut self, at: At, declare: queue::Declare) -> Outcome<QueueId> {
        let wanted = declare.queue.as_str();
        if wanted.starts_with("amq.") {
            return Err(access_refused(format!(
                "queue name '{wanted}' contains reserved prefix 'amq.*'"
            )));
        }
        let name = if wanted.is_empty() {
            self.fresh_name("amq.gen-")
        } else {
            Arc::from(wanted)
        };
        let vhost = self.vhost_of(at.conn);
        let existing = self
            .vhosts
            .get(&vhost)
            .and_then(|vhost| vhost.queue_names.get(&name))
            .copied();
        if let Some(queue) = existing.and_then(|id| self.queues.get(&id)) {
            assert_access(queue, at.conn)?;
            assert_equivalent(queue, &declare)?;
            return Ok(queue.id);
        }
        let subject = subject(&name, &vhost);
        let arguments = QueueArguments::read(&declare.arguments, &subject)?;
        if arguments.kind == Kind::Quorum {
            assert_quorum(&declare, &subject)?;
        }
        Ok(self.create_queue(Declaration {
            name,
            vhost,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(at.conn),
            arguments,
            declared: declare.arguments,
        }))
    }

    fn create_queue(&mut self, declaration: Declaration) -> QueueId {
        let id = QueueId(self.number());
        if let Some(connection) = declaration
            .owner
            .and_then(|owner| self.conns.get_mut(&owner))
        {
            connection.exclusive.push(id);
        }
        if let Some(vhost) = self.vhosts.get_mut(&declaration.vhost) {
            vhost.queue_names.insert(declaration.name.clone(), id);
        }
        self.queues
            .insert(id, Queue::new(id, declaration, self.now.instant));
        id
    }

    pub(super) fn queue_bind(&mut self, at: At, bind: queue::Bind) -> Outcome {
        let id = self.find_queue(at, bind.queue.as_str())?;
        let key = self.binding_key(at, bind.queue.as_str(), bind.routing_key.as_str());
        let vhost = self.vhost_of(at.conn);
        let name = bind.exchange.as_str();
        if name.is_empty() {
            return Err(access_refused(
                "operation not permitted on the default exchange",
            ));
        }
        let Some(exchange) = self
            .vhosts
            .get_mut(&vhost)
            .and_then(|vhost| vhost.exchange_mut(name))
        else {
            return Err(not_found(format!("no {}", exchange::subject(name, &vhost))));
        };
        if exchange.kind == exchange::Kind::Headers && !headers::is_valid(&bind.arguments) {
            return Err(precondition_failed(
                "Invalid x-match field value; expected all, any, all-with-x or any-with-x",
            ));
        }
        exchange.bind(Target::Queue(id), &key, bind.arguments);
        let source = exchange.id;
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.sources.insert(source);
        }
        if !bind.nowait {
            self.send(
                at,
                AMQPClass::Queue(queue::AMQPMethod::BindOk(queue::BindOk {})),
            );
        }
        Ok(())
    }

    /// The routing key of a binding; where neither queue nor key is named, the queue's name.
    fn binding_key(&mut self, at: At, queue: &str, key: &str) -> Arc<str> {
        let last = self
            .channel_mut(at)
            .and_then(|channel| channel.last_queue.clone());
        match last {
            Some(last) if queue.is_empty() && key.is_empty() => last,
            _ => Arc::from(key),
        }
    }

    pub(super) fn queue_unbind(&mut self, at: At, unbind: &queue::Unbind) -> Outcome {
        let id = self.find_queue(at, unbind.queue.as_str())?;
        let key = self.binding_key(at, unbind.queue.as_str(), unbind.routing_key.as_str());
        let vhost = self.vhost_of(at.conn);
        let name = unbind.exchange.as_str();
        if name.is_empty() {
            return Err(access_refused(
                "operation not permitted on the default exchange",
            ));
        }
        let Some(exchange) = self
            .vhosts
            .get_mut(&vhost)
            .and_then(|vhost| vhost.exchange_mut(name))
        else {
            return Err(not_found(format!("no {}", exchange::subject(name, &vhost))));
        };
        let source = exchange.id;
        let gone = exchange.unbind(Target::Queue(id), &key, &unbind.arguments);
        if gone {
            self.source_lost_binding(&vhost, source);
        }
        self.send(
            at,
            AMQPClass::Queue(queue::AMQPMethod::UnbindOk(queue::UnbindOk {})),
        );
        Ok(())
    }

    pub(super) fn queue_purge(&mut self, at: At, purge: &queue::Purge) -> Outcome {
        let id = self.find_queue(at, purge.queue.as_str())?;
        let message_count = self
            .queues
            .get_mut(&id)
            .map_or(0, |queue| queue.ready.clear()) as u32;
        if !purge.nowait {
            self.send(
                at,
                AMQPClass::Queue(queue::AMQPMethod::PurgeOk(queue::PurgeOk { message_count })),
            );
        }
        Ok(())
    }

    pub(super) fn queue_delete(&mut self, at: At, delete: &queue::Delete) -> Outcome {
        let name = self.queue_name(at, delete.queue.as_str())?;
        let vhost = self.vhost_of(at.conn);
        let id = self
            .vhosts
            .get(&vhost)
            .and_then(|vhost| vhost.queue_names.get(&name))
            .copied();
        let mut message_count = 0;
        // Deleting what is not there is no error.
        if let Some(queue) = id.and_then(|id| self.queues.get(&id)) {
            assert_access(queue, at.conn)?;
            if delete.if_unused && !queue.consumers.is_empty() {
                return Err(precondition_failed(format!("{} in use", queue.subject())));
            }
            if delete.if_empty && queue.ready.len() > 0 {
                return Err(precondition_failed(format!(
                    "{} not empty",
                    queue.subject()
                )));
            }
            message_count = queue.ready.len() as u32;
            let id = queue.id;
            self.delete_queue(id);
        }
        if !delete.nowait {
            self.send(
                at,
                AMQPClass::Queue(queue::AMQPMethod::DeleteOk(queue::DeleteOk {
                    message_count,
                })),
            );
        }
        Ok(())
    }

    /// Removes a queue, its messages and its bindings, and tells its consumers.
    pub(super) fn delete_queue(&mut self, id: QueueId) {
        let Some(mut queue) = self.queues.remove(&id) else {
            return;
        };
        if let Some(vhost) = self.vhosts.get_mut(&queue.vhost) {
            vhost.queue_names.remove(&queue.name);
        }
        if let Some(connection) = queue.owner.and_then(|owner| self.conns.get_mut(&owner)) {
            connection.exclusive.retain(|other| *other != id);
        }
        for consumer in queue.consumers.drain() {
            if let Some(channel) = self.channel_mut(consumer.at) {
                channel.consumers.remove(&consumer.tag);
            }
            self.jobs.push_back(Job::CancelNotify {
                at: consumer.at,
                tag: consumer.tag,
            });
        }
        for source in queue.sources.drain() {
            let exchange = self
                .vhosts
                .get_mut(&queue.vhost)
                .and_then(|vhost| vhost.exchanges.get_mut(&source));
            if exchange.is_some_and(|exchange| exchange.unbind_all(Target::Queue(id))) {
                self.source_lost_binding(&queue.vhost, source);
            }
        }
    }

    pub(super) fn vhost_of(&self, conn: ConnId) -> Arc<str> {
        self.conns
            .get(&conn)
            .map_or_else(|| Arc::from("/"), |connection| connection.vhost.clone())
    }

    /// A name that nothing had before.
    pub(super) fn fresh_name(&mut self, prefix: &str) -> Arc<str> {
        let mut state = self.settings.seed ^ self.number().wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut word = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^ (mixed >> 31)
        };
        Arc::from(format!("{prefix}{:016x}{:016x}", word(), word()))
    }
}

fn assert_equivalent(queue: &Queue, declare: &queue::Declare) -> Outcome {
    let subject = queue.subject();
    assert_equal("durable", &subject, declare.durable, queue.durable)?;
    if declare.exclusive != queue.owner.is_some() {
        return assert_equal(
            "exclusive",
            &subject,
            declare.exclusive,
            queue.owner.is_some(),
        );
    }
    assert_equal(
        "auto_delete",
        &subject,
        declare.auto_delete,
        queue.auto_delete,
    )?;
    let kind = QueueArguments::read(&declare.arguments, &subject)?.kind;
    let shown = |kind: Kind| format!("the value '{}' of type 'longstr'", kind.name());
    if kind != queue.arguments.kind {
        return Err(precondition_failed(format!(
            "inequivalent arg 'x-queue-type' for {subject}: received {} but current is {}",
            shown(kind),
            shown(queue.arguments.kind)
        )));
    }
    assert_same(COMPARED, &subject, &declare.arguments, &queue.declared)
}

fn assert_quorum(declare: &queue::Declare, subject: &str) -> Outcome {
    for (wrong, property) in [
        (!declare.durable, "non-durable"),
        (declare.exclusive, "exclusive-owner"),
        (declare.auto_delete, "auto-delete"),
    ] {
        if wrong {
            return Err(precondition_failed(format!(
                "invalid property '{property}' for {subject}"
            )));
        }
    }
    Ok(())
}
