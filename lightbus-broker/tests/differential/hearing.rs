//! What comes from a broker, taken in and written down.

use super::{
    channel::{Taken, Unsettled, delivery_tag},
    client::{self, Incoming, Lost},
    normalise,
    world::{PROBES, Probe, Queue, Step, World},
};
use amq_protocol::protocol::{AMQPClass, basic, channel, connection, queue};
use std::{collections::BTreeMap, time::Duration};

impl World {
    /// Takes in one thing from a connection, or nothing for a short while.
    pub(crate) fn absorb_one(&mut self, number: usize) -> Result<bool, Lost> {
        if self.connections[number].lost.is_some() {
            return Ok(false);
        }
        match self.connections[number]
            .client
            .receive(Duration::from_millis(20))
        {
            Ok(Some(incoming)) => {
                self.absorb(number, incoming)?;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(lost) => {
                self.connections[number].lost = Some(lost.to_string());
                Ok(false)
            }
        }
    }

    fn absorb(&mut self, number: usize, incoming: Incoming) -> Result<(), Lost> {
        match incoming.channel {
            0 => {
                self.absorb_for_connection(number, incoming);
                Ok(())
            }
            PROBES.. => self.absorb_probe(number, &incoming),
            _ => self.absorb_on_channel(number, incoming),
        }
    }

    fn absorb_for_connection(&mut self, number: usize, incoming: Incoming) {
        use connection::AMQPMethod::{Close, CloseOk};
        let connection = &mut self.connections[number];
        match &incoming.method {
            AMQPClass::Connection(Close(_)) => {
                // Once this is sent, the broker may be gone.
                let _ = connection.client.send(0, client::connection_close_ok());
                connection.lost = Some("closed".to_owned());
            }
            AMQPClass::Connection(CloseOk(_)) => connection.lost = Some("closed".to_owned()),
            _ => {}
        }
        connection.came.push(incoming);
    }

    fn absorb_on_channel(&mut self, number: usize, incoming: Incoming) -> Result<(), Lost> {
        let at = incoming.channel;
        let connection = &mut self.connections[number];
        let Some(channel) = connection.channels.get_mut(&at) else {
            connection.came.push(incoming);
            return Ok(());
        };
        match channel.take_in(&incoming) {
            Taken::Pong => return Ok(()),
            Taken::Confirms(numbers, taken) => {
                let all = numbers.into_iter().map(|number| (at, taken, number));
                connection.confirmed.extend(all);
                return Ok(());
            }
            Taken::Closed { confirm } => {
                if confirm {
                    connection.client.send(at, client::channel_close_ok())?;
                }
                self.note_wrong_tag(number, at);
                self.connections[number].channels.remove(&at);
            }
            Taken::Event => {}
        }
        if let Some(tag) = delivery_tag(&incoming.method) {
            self.check_tag(number, at, tag);
        }
        if let Some(address) = reply_to(&incoming) {
            self.reply_address = Some(address);
        }
        if let AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) = &incoming.method {
            self.learn_queue(number, ok.queue.as_str());
        }
        self.connections[number].came.push(incoming);
        Ok(())
    }

    /// Delivery tags count from 1, whatever is delivered.
    fn check_tag(&mut self, number: usize, at: u16, tag: u64) {
        if let Some(channel) = self.connections[number].channels.get_mut(&at) {
            let expected = channel.last_tag + 1;
            channel.last_tag = tag;
            if tag != expected {
                let note = format!("{number}/{at}: delivery tag {tag} where {expected} was due");
                self.notes.push(note);
            }
        }
    }

    /// Which tag was settled before depends on the order of deliveries, which is left to chance.
    fn note_wrong_tag(&mut self, number: usize, at: u16) {
        let channel = self.connections[number].channels.get(&at);
        if let Some(tag) = channel.and_then(|channel| channel.wrong_tag) {
            self.normaliser.wrong_tag(tag);
        }
    }

    /// A queue was declared on a connection.
    pub(crate) fn learn_queue(&mut self, connection: usize, name: &str) {
        if name.starts_with("amq.gen-") {
            self.named_by_broker = Some(name.to_owned());
        }
        if name.starts_with("amq.rabbitmq.reply-to") {
            return;
        }
        let known = self.queues.get(name);
        if known.is_some_and(|queue| matches!(queue.now, Probe::There { .. })) {
            return;
        }
        let shown = known.map_or(Probe::Unknown, |queue| queue.shown);
        self.next_probe += 1;
        let queue = Queue {
            connection,
            channel: self.next_probe,
            open: false,
            waiting: false,
            now: Probe::Unknown,
            shown,
        };
        self.queues.insert(name.to_owned(), queue);
    }

    fn absorb_probe(&mut self, number: usize, incoming: &Incoming) -> Result<(), Lost> {
        let queue = self
            .queues
            .values_mut()
            .find(|queue| queue.channel == incoming.channel && queue.connection == number);
        let Some(queue) = queue else {
            return Ok(());
        };
        match &incoming.method {
            AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) => {
                queue.waiting = false;
                let counts = !self.quorum.contains(ok.queue.as_str());
                queue.now = Probe::There {
                    messages: ok.message_count,
                    consumers: if counts { ok.consumer_count } else { 0 },
                };
            }
            AMQPClass::Channel(channel::AMQPMethod::Close(close)) => {
                (queue.waiting, queue.open) = (false, false);
                queue.now = Probe::Refused(close.reply_code);
                let ok = client::channel_close_ok();
                self.connections[number].client.send(incoming.channel, ok)?;
            }
            _ => {}
        }
        Ok(())
    }

    // ---- writing down ------------------------------------------------------------------------------------------

    /// What came since the last time.
    pub(crate) fn write_down(&mut self, operation: &str, kind: String) -> Step {
        let operation = self.normaliser.text(operation);
        let mut lines = std::mem::take(&mut self.notes);
        for number in 0..self.connections.len() {
            let came = std::mem::take(&mut self.connections[number].came);
            let mut channels: BTreeMap<u16, Vec<Incoming>> = BTreeMap::new();
            for incoming in came {
                channels.entry(incoming.channel).or_default().push(incoming);
            }
            let closed = channels.contains_key(&0);
            for (at, mut came) in channels {
                if closed {
                    // Whether one channel still gets what another one gives back is left to chance.
                    came.retain(|incoming| !is_delivery(&incoming.method));
                }
                lines.extend(self.write_channel(number, at, &came));
            }
            let confirmed = std::mem::take(&mut self.connections[number].confirmed);
            for (at, taken, message) in confirmed {
                let what = if taken { "confirmed" } else { "refused" };
                lines.push(format!("{number}/{at}: {what} message {message}"));
            }
        }
        for (name, queue) in &mut self.queues {
            if queue.now != queue.shown {
                queue.shown = queue.now;
                lines.push(format!("queue {name}: {:?}", queue.now));
            }
        }
        let lines = lines
            .iter()
            .map(|line| self.normaliser.text(line))
            .collect();
        Step {
            operation,
            kind,
            lines,
        }
    }

    /// What came on one channel: answers in their order, then deliveries, ordered within each consumer alone.
    fn write_channel(&mut self, number: usize, at: u16, came: &[Incoming]) -> Vec<String> {
        let (mut lines, mut deliveries, mut cancels) = (Vec::new(), Vec::new(), Vec::new());
        let last_answer = came.iter().rposition(is_answer);
        for (position, incoming) in came.iter().enumerate() {
            let early = last_answer.is_some_and(|answer| position < answer);
            let shown = normalise::show(&self.without_late_count(incoming));
            let shown = self.normaliser.text(&shown);
            if is_delivery(&incoming.method) {
                let mark = if early { " (before the answer)" } else { "" };
                deliveries.push((shown + mark, incoming));
            } else if is_cancel(&incoming.method) {
                cancels.push(format!("{number}/{at}: {shown}"));
            } else {
                lines.push(format!("{number}/{at}: {shown}"));
                self.note_unsettled(number, at, incoming);
            }
        }
        // Which of a queue's consumers hears first of its end is left to chance.
        cancels.sort();
        lines.append(&mut cancels);
        let consumer = |line: &str| line.split(" from ").next().map(str::to_owned);
        deliveries.sort_by_key(|(line, _)| consumer(line));
        for (line, incoming) in deliveries {
            lines.push(format!("{number}/{at}: {line}"));
            self.note_unsettled(number, at, incoming);
        }
        lines
    }

    /// What came, without the count of consumers that a quorum queue keeps late.
    fn without_late_count(&self, incoming: &Incoming) -> Incoming {
        let mut incoming = incoming.clone();
        if let AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok)) = &mut incoming.method
            && self.quorum.contains(ok.queue.as_str())
        {
            ok.consumer_count = 0;
        }
        incoming
    }

    fn note_unsettled(&mut self, number: usize, at: u16, incoming: &Incoming) {
        let step = self.step;
        if let Some(channel) = self.connections[number].channels.get_mut(&at)
            && let Some(tag) = delivery_tag(&incoming.method)
            && channel.is_to_settle(&incoming.method)
        {
            channel.unsettled.push(Unsettled { tag, step });
        }
    }
}

fn is_cancel(method: &AMQPClass) -> bool {
    matches!(method, AMQPClass::Basic(basic::AMQPMethod::Cancel(_)))
}

fn is_delivery(method: &AMQPClass) -> bool {
    matches!(method, AMQPClass::Basic(basic::AMQPMethod::Deliver(_)))
}

/// Whether it is the answer to an operation, which comes before what follows from it. A commit's comes when all is done.
fn is_answer(incoming: &Incoming) -> bool {
    use basic::AMQPMethod::{Cancel, Deliver, Return};
    !matches!(
        incoming.method,
        AMQPClass::Basic(Deliver(_) | Return(_) | Cancel(_))
            | AMQPClass::Channel(_)
            | AMQPClass::Tx(_)
    )
}

fn reply_to(incoming: &Incoming) -> Option<String> {
    let address = incoming.content.as_ref()?.properties.reply_to().as_ref()?;
    let is_address = address.as_str().starts_with("amq.rabbitmq.reply-to.");
    is_address.then(|| address.to_string())
}
