//! The exchange class.

use super::{
    Core,
    arguments::{assert_equal, assert_same, text},
    errors::{Outcome, access_refused, not_found, precondition_failed},
    event::EventKind,
    exchange::{Declaration, Exchange, Kind, Target, subject},
    headers,
    ids::{At, ExchangeId},
    queue_checks::wrong_type,
};
use amq_protocol::{
    protocol::{
        AMQPClass,
        exchange::{self, AMQPMethod},
    },
    types::FieldTable,
};
use std::sync::Arc;

impl Core {
    pub(super) fn exchange_declare(&mut self, at: At, declare: exchange::Declare) -> Outcome {
        // An unknown type is refused first, whatever the name; who only asks whether the exchange is there names none.
        let kind = match declare.passive {
            true => None,
            false => Some(kind_of(&declare)?),
        };
        let nowait = declare.nowait;
        let name = declare.exchange.as_str();
        let vhost = self.vhost_of(at.conn);
        let existing = self
            .vhosts
            .get(&vhost)
            .and_then(|vhost| vhost.exchange(name));
        match (existing, kind) {
            _ if name.is_empty() => {
                return Err(access_refused(
                    "operation not permitted on the default exchange",
                ));
            }
            (Some(_), None) => {}
            (None, None) => return Err(not_found(format!("no {}", subject(name, &vhost)))),
            (Some(exchange), Some(kind)) => assert_equivalent(exchange, &declare, kind, &vhost)?,
            (None, Some(kind)) => self.create_exchange(&vhost, declare, kind)?,
        }
        if !nowait {
            self.send(
                at,
                AMQPClass::Exchange(AMQPMethod::DeclareOk(exchange::DeclareOk {})),
            );
        }
        Ok(())
    }

    fn create_exchange(&mut self, vhost: &str, declare: exchange::Declare, kind: Kind) -> Outcome {
        let name = declare.exchange.as_str();
        if name.starts_with("amq.") {
            return Err(access_refused(format!(
                "exchange name '{name}' contains reserved prefix 'amq.*'"
            )));
        }
        let alternate = match declare.arguments.inner().get("alternate-exchange") {
            None => None,
            Some(value) => match text(value) {
                Some(name) => Some(Arc::from(name)),
                None => {
                    return Err(wrong_type(
                        "alternate-exchange",
                        &subject(name, vhost),
                        value,
                    ));
                }
            },
        };
        let declaration = Declaration {
            name: Arc::from(name),
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            alternate,
            declared: declare.arguments,
        };
        self.note(|_| EventKind::ExchangeDeclared {
            vhost: vhost.into(),
            exchange: declaration.name.clone(),
        });
        if let Some(vhost) = self.vhosts.get_mut(vhost) {
            vhost.add_exchange(declaration);
        }
        Ok(())
    }

    pub(super) fn exchange_delete(&mut self, at: At, delete: &exchange::Delete) -> Outcome {
        let name = delete.exchange.as_str();
        let vhost = self.vhost_of(at.conn);
        if name.is_empty() {
            return Err(access_refused(
                "operation not permitted on the default exchange",
            ));
        }
        if name.starts_with("amq.") {
            return Err(access_refused(format!(
                "deletion of system {} not allowed",
                subject(name, &vhost)
            )));
        }
        if let Some(exchange) = self
            .vhosts
            .get(&vhost)
            .and_then(|vhost| vhost.exchange(name))
        {
            if delete.if_unused && exchange.has_bindings() {
                return Err(precondition_failed(format!(
                    "{} in use",
                    subject(name, &vhost)
                )));
            }
            let id = exchange.id;
            self.delete_exchange(&vhost, id);
        }
        if !delete.nowait {
            self.send(
                at,
                AMQPClass::Exchange(AMQPMethod::DeleteOk(exchange::DeleteOk {})),
            );
        }
        Ok(())
    }

    pub(super) fn exchange_bind(&mut self, at: At, bind: exchange::Bind) -> Outcome {
        let vhost = self.vhost_of(at.conn);
        let (source, target) =
            self.ends(&vhost, bind.source.as_str(), bind.destination.as_str())?;
        let key = Arc::from(bind.routing_key.as_str());
        let mut fresh = false;
        if let Some(vhost) = self.vhosts.get_mut(&vhost) {
            if let Some(exchange) = vhost.exchanges.get_mut(&source) {
                if exchange.kind == Kind::Headers {
                    headers::assert_valid(&bind.arguments)?;
                }
                fresh = exchange.bind(Target::Exchange(target), &key, bind.arguments);
            }
            if let Some(exchange) = vhost.exchanges.get_mut(&target)
                && !exchange.sources.contains(&source)
            {
                exchange.sources.push(source);
            }
        }
        if fresh {
            self.note_binding(
                &vhost,
                source,
                Target::Exchange(target),
                &key,
                EventKind::Bound,
            );
        }
        if !bind.nowait {
            self.send(
                at,
                AMQPClass::Exchange(AMQPMethod::BindOk(exchange::BindOk {})),
            );
        }
        Ok(())
    }

    /// Ends a binding. Where it or one of its ends is not there, there is nothing to do.
    pub(super) fn exchange_unbind(&mut self, at: At, unbind: &exchange::Unbind) -> Outcome {
        let vhost = self.vhost_of(at.conn);
        match self.ends(&vhost, unbind.source.as_str(), unbind.destination.as_str()) {
            Ok((source, target)) => self.unbind_exchange(&vhost, source, target, unbind),
            // What is not there is not bound: no error.
            Err(fault) if fault.code == 404 => {}
            Err(fault) => return Err(fault),
        }
        if !unbind.nowait {
            let ok = AMQPMethod::UnbindOk(exchange::UnbindOk {});
            self.send(at, AMQPClass::Exchange(ok));
        }
        Ok(())
    }

    fn unbind_exchange(
        &mut self,
        vhost: &str,
        source: ExchangeId,
        target: ExchangeId,
        unbind: &exchange::Unbind,
    ) {
        let key: Arc<str> = Arc::from(unbind.routing_key.as_str());
        let exchange = self
            .vhosts
            .get_mut(vhost)
            .and_then(|vhost| vhost.exchanges.get_mut(&source));
        if exchange.is_some_and(|exchange| {
            exchange.unbind(Target::Exchange(target), &key, &unbind.arguments)
        }) {
            let target = Target::Exchange(target);
            self.note_binding(vhost, source, target, &key, EventKind::Unbound);
            self.source_lost_binding(vhost, source);
        }
    }

    /// Refuses arguments that make no sense to an exchange.
    pub(super) fn assert_binds(&self, vhost: &str, name: &str, arguments: &FieldTable) -> Outcome {
        let exchange = self
            .vhosts
            .get(vhost)
            .and_then(|vhost| vhost.exchange(name));
        match exchange {
            Some(exchange) if exchange.kind == Kind::Headers => headers::assert_valid(arguments),
            _ => Ok(()),
        }
    }

    pub(super) fn assert_exchange(&self, vhost: &str, name: &str) -> Outcome {
        let known = self.vhosts.get(vhost).map(|vhost| vhost.exchange(name));
        match known.flatten() {
            Some(_) => Ok(()),
            None => Err(not_found(format!("no {}", subject(name, vhost)))),
        }
    }

    /// Both ends of a binding between exchanges.
    fn ends(
        &self,
        vhost: &str,
        source: &str,
        destination: &str,
    ) -> Outcome<(ExchangeId, ExchangeId)> {
        if source.is_empty() || destination.is_empty() {
            return Err(access_refused(
                "operation not permitted on the default exchange",
            ));
        }
        let find = |name: &str| {
            let found = self
                .vhosts
                .get(vhost)
                .and_then(|vhost| vhost.exchange_names.get(name));
            found
                .copied()
                .ok_or_else(|| not_found(format!("no {}", subject(name, vhost))))
        };
        Ok((find(source)?, find(destination)?))
    }

    /// A binding of an exchange went away; an auto-delete exchange goes with its last.
    pub(super) fn source_lost_binding(&mut self, vhost: &str, id: ExchangeId) {
        let exchange = self
            .vhosts
            .get(vhost)
            .and_then(|vhost| vhost.exchanges.get(&id));
        if exchange.is_some_and(|exchange| exchange.auto_delete && !exchange.has_bindings()) {
            self.delete_exchange(vhost, id);
        }
    }

    /// Removes an exchange and the bindings to and from it; then the auto-delete exchanges that thereby lost their last.
    pub(super) fn delete_exchange(&mut self, name: &str, id: ExchangeId) {
        let Some(vhost) = self.vhosts.get_mut(name) else {
            return;
        };
        let mut doomed = vec![id];
        while let Some(id) = doomed.pop() {
            let Some(gone) = vhost.exchanges.remove(&id) else {
                continue;
            };
            vhost.exchange_names.remove(&gone.name);
            if self.watch.on {
                let (vhost, exchange) = (name.into(), gone.name.clone());
                self.watch
                    .note(self.now, EventKind::ExchangeDeleted { vhost, exchange });
            }
            for source in gone.sources {
                if let Some(exchange) = vhost.exchanges.get_mut(&source)
                    && exchange.unbind_all(Target::Exchange(id))
                    && exchange.auto_delete
                    && !exchange.has_bindings()
                {
                    doomed.push(source);
                }
            }
        }
    }
}

fn kind_of(declare: &exchange::Declare) -> Outcome<Kind> {
    let name = declare.kind.as_str();
    Kind::named(name).ok_or_else(|| precondition_failed(format!("unknown exchange type '{name}'")))
}

fn assert_equivalent(
    exchange: &Exchange,
    declare: &exchange::Declare,
    kind: Kind,
    vhost: &str,
) -> Outcome {
    let subject = subject(&exchange.name, vhost);
    assert_equal("type", &subject, kind.name(), exchange.kind.name())?;
    assert_equal("durable", &subject, declare.durable, exchange.durable)?;
    assert_equal(
        "auto_delete",
        &subject,
        declare.auto_delete,
        exchange.auto_delete,
    )?;
    assert_equal("internal", &subject, declare.internal, exchange.internal)?;
    let alternate = "alternate-exchange";
    assert_same(
        alternate,
        &subject,
        declare.arguments.inner().get(alternate),
        exchange.declared.inner().get(alternate),
    )
}
