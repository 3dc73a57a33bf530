//! Waiting until a broker has done all it is going to do.

use super::{
    channel::{Channel, PING},
    client::{self, Lost},
    world::{Connection, Pace, Probe, World},
};
use amq_protocol::{
    protocol::{AMQPClass, basic, queue},
    types::FieldTable,
};
use std::time::{Duration, Instant};

/// How long a broker may take to do one thing.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

impl World {
    /// Waits until nothing happens any more.
    pub(crate) fn settle(&mut self) -> Result<(), Lost> {
        let deadline = Instant::now() + PATIENCE;
        let (least, pause) = match self.pace {
            Pace::Brisk => (2, Duration::ZERO),
            Pace::Careful => (4, Duration::from_millis(15)),
        };
        let mut rounds = 0;
        let mut before = self.state();
        loop {
            std::thread::sleep(pause);
            self.ping(deadline)?;
            self.probe(deadline)?;
            let now = self.state();
            rounds += 1;
            if rounds >= least && now == before && self.is_quiet() {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.notes
                    .push("the broker does not come to rest".to_owned());
                return Ok(());
            }
            before = now;
            self.reconnect()?;
        }
    }

    /// What must stay the same for all to be quiet.
    fn state(&self) -> (usize, Vec<Probe>) {
        let came = self
            .connections
            .iter()
            .map(|connection| connection.came.len() + connection.confirmed.len())
            .sum();
        (came, self.queues.values().map(|queue| queue.now).collect())
    }

    fn is_quiet(&self) -> bool {
        self.connections.iter().all(|connection| {
            connection.lost.is_none()
                && !connection.closing
                && connection
                    .channels
                    .values()
                    .all(|channel| channel.due == 0 && channel.unconfirmed.is_empty())
        })
    }

    /// Hears from every open channel.
    fn ping(&mut self, deadline: Instant) -> Result<(), Lost> {
        // A channel that commits must not be asked anything.
        self.hear(deadline, |channel| channel.due > 0)?;
        for connection in &mut self.connections {
            if connection.lost.is_some() || connection.closing {
                continue;
            }
            let mut pings = Vec::new();
            for (number, channel) in &mut connection.channels {
                if channel.leaving {
                    continue;
                }
                channel.pings += 1;
                pings.push((*number, ping()));
            }
            // If it cannot be sent, what was said before is still to be read.
            let _ = connection.client.send_all(pings);
        }
        self.hear(deadline, |channel| channel.pings > 0 || channel.due > 0)
    }

    /// Takes in what comes while channels are `waiting`, or connections are being closed.
    fn hear(&mut self, deadline: Instant, waiting: impl Fn(&Channel) -> bool) -> Result<(), Lost> {
        for number in 0..self.connections.len() {
            while self.connections[number].lost.is_none()
                && (self.connections[number].closing
                    || self.connections[number].channels.values().any(&waiting))
                && Instant::now() < deadline
            {
                self.absorb_one(number)?;
            }
        }
        Ok(())
    }

    /// Asks every queue how it is.
    fn probe(&mut self, deadline: Instant) -> Result<(), Lost> {
        for (name, queue) in &mut self.queues {
            let connection = &mut self.connections[queue.connection];
            // What is gone is asked again when it is declared again.
            if connection.lost.is_some() || queue.now == Probe::Refused(404) {
                continue;
            }
            if !queue.open {
                connection
                    .client
                    .send(queue.channel, client::open_channel())?;
                queue.open = true;
            }
            connection.client.send(queue.channel, passive(name))?;
            queue.waiting = true;
        }
        for number in 0..self.connections.len() {
            while self.connections[number].lost.is_none()
                && self
                    .queues
                    .values()
                    .any(|queue| queue.connection == number && queue.waiting)
                && Instant::now() < deadline
            {
                self.absorb_one(number)?;
            }
        }
        Ok(())
    }

    /// Opens anew what was lost.
    fn reconnect(&mut self) -> Result<(), Lost> {
        for number in 0..self.connections.len() {
            let old = &mut self.connections[number];
            let Some(lost) = old.lost.take() else {
                continue;
            };
            let mut fresh = Connection::open(&self.url, number)?;
            fresh.came = std::mem::take(&mut old.came);
            fresh.confirmed = std::mem::take(&mut old.confirmed);
            if lost != "closed" {
                self.notes.push(format!("connection {number} lost: {lost}"));
            }
            *old = fresh;
            for queue in self.queues.values_mut() {
                if queue.connection == number {
                    (queue.open, queue.waiting) = (false, false);
                }
            }
        }
        Ok(())
    }
}

fn ping() -> AMQPClass {
    AMQPClass::Basic(basic::AMQPMethod::Cancel(basic::Cancel {
        consumer_tag: PING.into(),
        nowait: false,
    }))
}

fn passive(name: &str) -> AMQPClass {
    AMQPClass::Queue(queue::AMQPMethod::Declare(queue::Declare {
        queue: name.into(),
        passive: true,
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
        arguments: FieldTable::default(),
    }))
}
