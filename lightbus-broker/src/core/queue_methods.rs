//! The queue class.

use super::{
    Core,
    arguments::{assert_equal, assert_same, text},
    errors::{
        Fault, Outcome, access_refused, not_implemented, precondition_failed, resource_locked,
    },
    event::{DeleteReason, DropReason, EventKind},
    exchange::Target,
    ids::{At, ConnId, QueueId},
    jobs::Job,
    queue::{Declaration, Queue, subject},
    queue_arguments::QueueArguments,
    queue_checks,
    reply_to::PSEUDO_QUEUE,
};
use crate::queue_type::QueueType;
use amq_protocol::{
    protocol::{AMQPClass, queue},
    types::{AMQPValue, FieldTable},
};
use std::sync::Arc;

/// Refuses the use of another connection's exclusive queue.
pub(super) fn assert_access(queue: &Queue, conn: ConnId) -> Outcome {
    match queue.owner {
        Some(owner) if owner != conn => Err(locked(queue)),
        _ => Ok(()),
    }
}

fn locked(queue: &Queue) -> Fault {
    resource_locked(format!(
        "cannot obtain exclusive access to locked {}. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.",
        queue.subject()
    ))
}

impl Core {
    pub(super) fn queue_declare(&mut self, at: At, declare: queue::Declare) -> Outcome {
        if declare.queue.as_str().starts_with(PSEUDO_QUEUE) {
            return self.declare_reply_queue(at, &declare);
        }
        let nowait = declare.nowait;
        let id = if declare.passive {
            // Here an empty name is a name.
            self.find_queue_named(at, declare.queue.as_str())?
        } else {
            self.declare_queue(at, declare)?
        };
        let Some(queue) = self.queues.get_mut(&id) else {
            return Ok(());
        };
        queue.last_used = self.now.instant;
        let ok = queue::DeclareOk {
            queue: queue.name.as_ref().into(),
            message_count: queue.len() as u32,
            // RabbitMQ does not count those of streams here.
            consumer_count: match queue.stream {
                Some(_) => 0,
                None => queue.consumers.len() as u32,
            },
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
        let kind = self.kind_of(&declare);
        let name = if wanted.is_empty() {
            assert_nameable(kind)?;
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
            assert_equivalent(queue, &declare, kind, at.conn)?;
            return Ok(queue.id);
        }
        let subject = subject(&name, &vhost);
        let kind = queue_checks::named_type(&declare.arguments, &subject)?.unwrap_or(kind);
        let arguments = QueueArguments::read(&declare.arguments, kind, &subject)?;
        assert_properties(&declare, kind, &subject)?;
        self.assert_room(&name, &vhost)?;
        Ok(self.create_queue(Declaration {
            name,
            vhost,
            durable: is_durable(&declare),
            auto_delete: declare.auto_delete,
            owner: declare.exclusive.then_some(at.conn),
            arguments,
            declared: declare.arguments,
        }))
    }

    /// The type of queue a declaration means, as far as one can tell without refusing any. The default type is for queues
    /// that can be of it.
    fn kind_of(&self, declare: &queue::Declare) -> QueueType {
        let plain = is_durable(declare) && !declare.auto_delete;
        match declare.arguments.inner().get("x-queue-type").map(text) {
            None if plain => self.settings.default_queue_type,
            None => QueueType::Classic,
            Some(name) => name.and_then(QueueType::named).unwrap_or_default(),
        }
    }

    /// Refuses a queue beyond the limit of its virtual host.
    fn assert_room(&self, name: &str, vhost: &str) -> Outcome {
        let limit = self.settings.max_queues;
        match self.vhosts.get(vhost) {
            Some(full) if full.queue_names.len() >= limit => Err(precondition_failed(format!(
                "cannot declare queue '{name}': queue limit in vhost '{vhost}' ({limit}) is reached"
            ))),
            _ => Ok(()),
        }
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
        let queue = Queue::new(id, declaration, self.now.instant);
        self.note(|_| EventKind::QueueDeclared {
            queue: queue.full_name(),
        });
        self.queues.insert(id, queue);
        id
    }

    pub(super) fn queue_bind(&mut self, at: At, bind: queue::Bind) -> Outcome {
        let queue = self.queue_name(at, bind.queue.as_str())?;
        let key = self.binding_key(at, bind.queue.as_str(), bind.routing_key.as_str());
        let vhost = self.vhost_of(at.conn);
        let name = bind.exchange.as_str();
        if name.is_empty() {
            return Err(access_refused(
                "operation not permitted on the default exchange",
            ));
        }
        // The exchange is missed before the queue is, and whose the queue is comes last.
        self.assert_exchange(&vhost, name)?;
        let found = self.find_queue(at, &queue);
        if !matches!(&found, Err(fault) if fault.code == 404) {
            self.assert_binds(&vhost, name, &bind.arguments)?;
        }
        let id = found?;
        let Some(exchange) = self
            .vhosts
            .get_mut(&vhost)
            .and_then(|vhost| vhost.exchange_mut(name))
        else {
            return Ok(());
        };
        let fresh = exchange.bind(Target::Queue(id), &key, bind.arguments);
        let source = exchange.id;
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.sources.insert(source);
        }
        if fresh {
            self.note_binding(&vhost, source, Target::Queue(id), &key, EventKind::Bound);
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
        let queue = self.queue_name(at, unbind.queue.as_str())?;
        let key = self.binding_key(at, unbind.queue.as_str(), unbind.routing_key.as_str());
        let vhost = self.vhost_of(at.conn);
        let name = unbind.exchange.as_str();
        if name.is_empty() {
            return Err(access_refused(
                "operation not permitted on the default exchange",
            ));
        }
        // What is not bound can be unbound: no error, whosever the queue is.
        if let Some(id) = self.bound(&vhost, name, &queue, &key, &unbind.arguments) {
            self.find_queue(at, &queue)?;
            self.unbind_queue(&vhost, name, id, &key, &unbind.arguments);
        }
        self.send(
            at,
            AMQPClass::Queue(queue::AMQPMethod::UnbindOk(queue::UnbindOk {})),
        );
        Ok(())
    }

    /// The queue, if this binding to it exists.
    fn bound(
        &self,
        vhost: &str,
        exchange: &str,
        queue: &str,
        key: &Arc<str>,
        arguments: &FieldTable,
    ) -> Option<QueueId> {
        let vhost = self.vhosts.get(vhost)?;
        let id = *vhost.queue_names.get(queue)?;
        let exchange = vhost.exchange(exchange)?;
        exchange
            .has_binding(Target::Queue(id), key, arguments)
            .then_some(id)
    }

    fn unbind_queue(
        &mut self,
        vhost: &str,
        exchange: &str,
        id: QueueId,
        key: &Arc<str>,
        arguments: &FieldTable,
    ) {
        let Some(exchange) = self
            .vhosts
            .get_mut(vhost)
            .and_then(|vhost| vhost.exchange_mut(exchange))
        else {
            return;
        };
        let source = exchange.id;
        if exchange.unbind(Target::Queue(id), key, arguments) {
            self.note_binding(vhost, source, Target::Queue(id), key, EventKind::Unbound);
            self.source_lost_binding(vhost, source);
        }
    }

    pub(super) fn queue_purge(&mut self, at: At, purge: &queue::Purge) -> Outcome {
        let id = self.find_queue(at, purge.queue.as_str())?;
        let Some(queue) = self.queues.get(&id) else {
            return Ok(());
        };
        if queue.stream.is_some() {
            return Err(not_implemented(format!(
                "queue.purge not supported by stream queues {}",
                queue.subject()
            )));
        }
        self.note_lost(id, DropReason::Purged);
        let message_count = self.queues.get_mut(&id).map_or(0, |queue| {
            let count = queue.ready.clear();
            queue.counters.dropped += count as u64;
            count
        }) as u32;
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
            assert_deletable(queue, delete)?;
            message_count = queue.ready.len() as u32;
            let id = queue.id;
            self.delete_queue(id, DeleteReason::Client);
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
    pub(super) fn delete_queue(&mut self, id: QueueId, why: DeleteReason) {
        self.note_deleted(id, why);
        let Some(mut queue) = self.queues.remove(&id) else {
            return;
        };
        queue.counters.dropped += queue.at_stake() as u64;
        self.gone += queue.counters;
        if let Some(vhost) = self.vhosts.get_mut(&queue.vhost) {
            vhost.queue_names.remove(&queue.name);
        }
        if let Some(connection) = queue.owner.and_then(|owner| self.conns.get_mut(&owner)) {
            connection.exclusive.retain(|other| *other != id);
        }
        self.tidy_timers();
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
}

/// Refuses a deletion whose condition does not hold, or is none that the type of queue knows. Streams are deleted in any
/// case.
fn assert_deletable(queue: &Queue, delete: &queue::Delete) -> Outcome {
    let subject = queue.subject();
    let flags = [
        ("if-empty", delete.if_empty),
        ("if-unused", delete.if_unused),
    ];
    match queue.arguments.kind {
        QueueType::Classic if delete.if_empty && queue.ready.len() > 0 => {
            Err(precondition_failed(format!("{subject} not empty")))
        }
        QueueType::Classic if delete.if_unused && !queue.consumers.is_empty() => {
            Err(precondition_failed(format!("{subject} in use")))
        }
        QueueType::Quorum => match flags.iter().rfind(|(_, asked)| *asked) {
            Some((flag, _)) => Err(not_implemented(format!(
                "cannot delete {subject}. queue.delete operations with {flag} flag set are not supported by quorum queues"
            ))),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

/// What belongs to one connection goes with it, whatever the client says.
fn is_durable(declare: &queue::Declare) -> bool {
    declare.durable && !declare.exclusive
}

/// Refuses a declaration that differs from the existing queue's; `kind` is the type it means.
fn assert_equivalent(
    queue: &Queue,
    declare: &queue::Declare,
    kind: QueueType,
    conn: ConnId,
) -> Outcome {
    assert_access(queue, conn)?;
    if declare.exclusive != queue.owner.is_some() {
        return Err(locked(queue));
    }
    let subject = queue.subject();
    assert_equal("durable", &subject, is_durable(declare), queue.durable)?;
    assert_equal(
        "auto_delete",
        &subject,
        declare.auto_delete,
        queue.auto_delete,
    )?;
    let current = queue.arguments.kind;
    let (meant, is) = (long(kind.name()), long(current.name()));
    for name in queue_checks::known(current) {
        let (new, old) = (
            declare.arguments.inner().get(*name),
            queue.declared.inner().get(*name),
        );
        match *name {
            "x-queue-type" => assert_same(name, &subject, new.or(Some(&meant)), Some(&is))?,
            _ => assert_same(name, &subject, new, old)?,
        }
    }
    Ok(())
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// Only classic queues can be named by the broker.
fn assert_nameable(kind: QueueType) -> Outcome {
    match kind {
        QueueType::Classic => Ok(()),
        _ => Err(precondition_failed(format!(
            "Cannot declare a server-named queue for type {}",
            kind.module()
        ))),
    }
}

/// Refuses properties that only classic queues can have, and sizes that streams cannot.
fn assert_properties(declare: &queue::Declare, kind: QueueType, subject: &str) -> Outcome {
    if kind == QueueType::Classic {
        return Ok(());
    }
    for (wrong, property) in [
        (declare.auto_delete, "auto-delete"),
        (declare.exclusive, "exclusive-owner"),
        (!declare.durable, "non-durable"),
    ] {
        if wrong {
            return Err(precondition_failed(format!(
                "invalid property '{property}' for {subject}"
            )));
        }
    }
    match kind {
        QueueType::Stream => queue_checks::check_stream(&declare.arguments),
        _ => Ok(()),
    }
}
