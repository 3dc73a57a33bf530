//! Whether a user may do what a method asks for: what each asks for is RabbitMQ's table, in one place.

use super::{
    Core,
    arguments::text,
    errors::{Outcome, access_refused},
    exchange,
    ids::{At, ConnId},
    pattern::Pattern,
    queue,
    reply_to::PSEUDO_QUEUE,
};
use amq_protocol::{
    protocol::{AMQPClass, basic, exchange as exchange_class, queue as queue_class},
    types::FieldTable,
};
use std::sync::Arc;

/// What a user may do in a virtual host.
#[derive(Clone, Debug)]
pub(crate) struct Rights {
    pub(crate) configure: Pattern,
    pub(crate) write: Pattern,
    pub(crate) read: Pattern,
}

/// What an operation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Configure,
    Write,
    Read,
}

/// What it asks that for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Resource<'a> {
    Exchange(&'a str),
    Queue(&'a str),
}

use Resource::{Exchange, Queue};
use Right::{Configure, Read, Write};

impl Core {
    /// Refuses a method that the user has no right to.
    pub(super) fn authorize(&mut self, at: At, class: &AMQPClass) -> Outcome {
        if !self.settings.guarded {
            return Ok(());
        }
        match class {
            AMQPClass::Exchange(method) => self.authorize_exchange(at.conn, method),
            AMQPClass::Queue(method) => self.authorize_queue(at, method),
            AMQPClass::Basic(basic::AMQPMethod::Get(get)) => {
                self.permit_read(at, get.queue.as_str())
            }
            AMQPClass::Basic(basic::AMQPMethod::Consume(consume)) => {
                self.permit_read(at, consume.queue.as_str())
            }
            _ => Ok(()),
        }
    }

    /// Names that nobody may declare or delete are left to whoever refuses them to all.
    fn authorize_exchange(&self, conn: ConnId, method: &exchange_class::AMQPMethod) -> Outcome {
        use exchange_class::AMQPMethod::{Bind, Declare, Delete, Unbind};
        match method {
            Declare(declare) if !declare.passive && !declare.exchange.as_str().is_empty() => {
                let name = declare.exchange.as_str();
                self.permit(conn, Configure, Exchange(name))?;
                let other = named(&declare.arguments, "alternate-exchange");
                match other.filter(|_| !self.has_exchange(conn, name)) {
                    None => Ok(()),
                    Some(other) => {
                        self.permit(conn, Read, Exchange(name))?;
                        self.permit(conn, Write, Exchange(other))
                    }
                }
            }
            Delete(delete) if !is_reserved(delete.exchange.as_str()) => {
                self.permit(conn, Configure, Exchange(delete.exchange.as_str()))
            }
            Bind(bind) => {
                self.permit(conn, Write, Exchange(bind.destination.as_str()))?;
                self.permit(conn, Read, Exchange(bind.source.as_str()))
            }
            Unbind(unbind) => {
                self.permit(conn, Write, Exchange(unbind.destination.as_str()))?;
                self.permit(conn, Read, Exchange(unbind.source.as_str()))
            }
            _ => Ok(()),
        }
    }

    fn authorize_queue(&mut self, at: At, method: &queue_class::AMQPMethod) -> Outcome {
        use queue_class::AMQPMethod::{Bind, Declare, Delete, Purge, Unbind};
        match method {
            Declare(declare) if !declare.passive => self.authorize_declaration(at.conn, declare),
            Delete(delete) => {
                let name = self.queue_name(at, delete.queue.as_str())?;
                self.permit(at.conn, Configure, Queue(&name))
            }
            Purge(purge) => self.permit_read(at, purge.queue.as_str()),
            Bind(bind) => self.authorize_binding(at, bind.queue.as_str(), bind.exchange.as_str()),
            Unbind(unbind) => {
                self.authorize_binding(at, unbind.queue.as_str(), unbind.exchange.as_str())
            }
            _ => Ok(()),
        }
    }

    fn authorize_declaration(&mut self, conn: ConnId, declare: &queue_class::Declare) -> Outcome {
        let name: Arc<str> = match declare.queue.as_str() {
            reserved if reserved.starts_with("amq.") => return Ok(()),
            // One like the name it is about to get.
            "" => self.fresh_name("amq.gen-"),
            name => Arc::from(name),
        };
        self.permit(conn, Configure, Queue(&name))?;
        let other = named(&declare.arguments, "x-dead-letter-exchange");
        match other.filter(|_| !self.has_queue(conn, &name)) {
            None => Ok(()),
            Some(other) => {
                self.permit(conn, Read, Queue(&name))?;
                self.permit(conn, Write, Exchange(other))
            }
        }
    }

    fn authorize_binding(&mut self, at: At, queue: &str, exchange: &str) -> Outcome {
        let queue = self.queue_name(at, queue)?;
        self.permit(at.conn, Write, Queue(&queue))?;
        self.permit(at.conn, Read, Exchange(exchange))
    }

    fn permit_read(&mut self, at: At, queue: &str) -> Outcome {
        if queue == PSEUDO_QUEUE {
            return Ok(());
        }
        let name = self.queue_name(at, queue)?;
        self.permit(at.conn, Read, Queue(&name))
    }

    /// Refuses what the user has no right to. Where everybody may do everything, that is one look.
    pub(super) fn permit(&self, conn: ConnId, right: Right, resource: Resource<'_>) -> Outcome {
        match self.settings.guarded {
            true => self.assert_right(conn, right, resource),
            false => Ok(()),
        }
    }

    #[cold]
    fn assert_right(&self, conn: ConnId, right: Right, resource: Resource<'_>) -> Outcome {
        let Some(connection) = self.conns.get(&conn) else {
            return Ok(());
        };
        let Some(rights) = &connection.rights else {
            return Ok(());
        };
        let (pattern, what) = match right {
            Configure => (&rights.configure, "configure"),
            Write => (&rights.write, "write"),
            Read => (&rights.read, "read"),
        };
        let vhost = &connection.vhost;
        let (name, subject) = match resource {
            Exchange("") => ("amq.default", exchange::subject("amq.default", vhost)),
            Exchange(name) => (name, exchange::subject(name, vhost)),
            Queue(name) => (name, queue::subject(name, vhost)),
        };
        if pattern.fits(name) {
            return Ok(());
        }
        let user = &connection.user;
        Err(access_refused(format!(
            "{what} access to {subject} refused for user '{user}'"
        )))
    }

    fn has_exchange(&self, conn: ConnId, name: &str) -> bool {
        let vhost = self.vhosts.get(&self.vhost_of(conn));
        vhost.is_some_and(|vhost| vhost.exchange_names.contains_key(name))
    }

    fn has_queue(&self, conn: ConnId, name: &str) -> bool {
        let vhost = self.vhosts.get(&self.vhost_of(conn));
        vhost.is_some_and(|vhost| vhost.queue_names.contains_key(name))
    }
}

fn is_reserved(exchange: &str) -> bool {
    exchange.is_empty() || exchange.starts_with("amq.")
}

/// The exchange that an argument names.
fn named<'a>(arguments: &'a FieldTable, name: &str) -> Option<&'a str> {
    arguments.inner().get(name).and_then(text)
}
