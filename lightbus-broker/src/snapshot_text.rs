//! A snapshot for people: what a test's author wants to see when a test fails.

use crate::snapshot::{
    ArmedFaults, BindingInfo, ConnectionInfo, ConsumerInfo, ExchangeInfo, QueueInfo, Snapshot,
};
use std::{collections::BTreeMap, fmt};

/// Connections, queues with their consumers, bindings, and the exchanges that messages came to: a line each.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.totals.publishing;
        writeln!(
            f,
            "{} published, {} unroutable, {} returned, {} refused",
            counted.published, counted.unroutable, counted.returned, counted.refused
        )?;
        if self.faults != ArmedFaults::default() {
            writeln!(f, "faults: {}", self.faults)?;
        }
        for connection in &self.connections {
            writeln!(f, "{connection}")?;
        }
        for queue in &self.queues {
            writeln!(f, "{queue}")?;
            for consumer in &queue.subscriptions {
                writeln!(f, "  {consumer}")?;
            }
        }
        for binding in &self.bindings {
            writeln!(f, "{binding}")?;
        }
        for exchange in self.exchanges.iter().filter(|e| e.counters.received > 0) {
            writeln!(f, "{exchange}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ArmedFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Vec::new();
        all.extend(
            self.refusing
                .map(|how| format!("refusing connections ({how:?})")),
        );
        all.extend(self.stalled.then(|| "stalled".to_owned()));
        all.extend((!self.delay.is_zero()).then(|| format!("delay {:?}", self.delay)));
        let blocked = self.blocked.as_ref();
        all.extend(blocked.map(|reason| format!("publishers blocked ({reason})")));
        for (count, what) in [
            (self.fail_publishes, "publications fail"),
            (self.drop_publishes, "publications vanish"),
            (self.withhold_confirms, "confirms withheld"),
            (self.duplicate_deliveries, "deliveries twice"),
        ] {
            all.extend((count > 0).then(|| format!("{count} {what}")));
        }
        f.write_str(&all.join(", "))
    }
}

impl fmt::Display for ConnectionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or("without a name");
        let (number, user, peer) = (self.number, &self.user, &self.peer);
        let vhost = Place(&self.vhost, "");
        write!(f, "connection {number} {name}: {user} from {peer}{vhost}, ")?;
        write!(f, "{} channels", self.channels.len())?;
        f.write_str(if self.blocked { ", blocked" } else { "" })?;
        f.write_str(if self.stalled { ", stalled" } else { "" })
    }
}

impl fmt::Display for QueueInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "queue {}: ", Place(&self.vhost, &self.name))?;
        write!(f, "{} ready, {} unacked", self.ready, self.unacked)?;
        let counted = self.counters;
        let counts = [
            ("enqueued", counted.enqueued),
            ("delivered", counted.delivered),
            ("redelivered", counted.redelivered),
            ("acked", counted.acked),
            ("rejected", counted.rejected),
            ("requeued", counted.requeued),
            ("expired", counted.expired),
            ("refused", counted.refused),
            ("dead-lettered", counted.dead_lettered),
            ("dropped", counted.dropped),
        ];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        write!(f, " ({}", self.kind)?;
        for (flag, name) in [
            (self.durable, "durable"),
            (self.auto_delete, "auto-delete"),
            (self.exclusive, "exclusive"),
        ] {
            write!(
                f,
                "{}{}",
                if flag { ", " } else { "" },
                if flag { name } else { "" }
            )?;
        }
        write!(f, "{})", Arguments(&self.arguments))?;
        f.write_str(if self.paused { ", paused" } else { "" })
    }
}

impl fmt::Display for ConsumerInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "consumer {} on connection ", self.tag)?;
        match &self.connection {
            Some(name) => write!(f, "{name}")?,
            None => write!(f, "{}", self.connection_number)?,
        }
        write!(f, " channel {}: {} unacked", self.channel, self.unacked)?;
        if self.prefetch > 0 {
            write!(f, " of {}", self.prefetch)?;
        }
        for (holds, what) in [
            (self.no_ack, ", no-ack"),
            (self.exclusive, ", exclusive"),
            (!self.active, ", waiting for its turn"),
        ] {
            f.write_str(if holds { what } else { "" })?;
        }
        match self.priority {
            0 => Ok(()),
            priority => write!(f, ", priority {priority}"),
        }
    }
}

impl fmt::Display for BindingInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.to_queue { "queue" } else { "exchange" };
        let source = Place(&self.vhost, &self.source);
        let (key, destination) = (&self.routing_key, &self.destination);
        write!(f, "binding {source} -'{key}'-> {kind} {destination}")?;
        write!(f, "{}", Arguments(&self.arguments))
    }
}

impl fmt::Display for ExchangeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.counters;
        write!(
            f,
            "exchange {} ({}): {} received, {} copies routed, {} unroutable",
            Place(&self.vhost, shown(&self.name)),
            self.kind,
            counted.received,
            counted.routed,
            counted.unroutable
        )
    }
}

/// An exchange's name; the default one has none.
fn shown(exchange: &str) -> &str {
    if exchange.is_empty() {
        "(default)"
    } else {
        exchange
    }
}

/// A name, with its virtual host where that is not the usual one.
struct Place<'a>(&'a str, &'a str);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            ("/", name) => f.write_str(name),
            (vhost, "") => write!(f, " in {vhost}"),
            (vhost, name) => write!(f, "{vhost}:{name}"),
        }
    }
}

struct Arguments<'a>(&'a BTreeMap<String, String>);

impl fmt::Display for Arguments<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(name, value)| write!(f, ", {name}={value}"))
    }
}
