//! The end of a sequence: what is left in the queues, and then nothing.

use super::{
    client::Lost,
    operation::Place,
    world::{CLEANER, Probe, Step, World, close_channel},
};
use amq_protocol::protocol::{AMQPClass, basic, exchange, queue};
use std::collections::BTreeMap;

impl World {
    /// Closes every channel, and looks what is left in the queues.
    pub(crate) fn finish(&mut self) -> Result<Vec<Step>, Lost> {
        let mut steps = Vec::new();
        for connection in 0..self.connections.len() {
            self.close_channels(connection, 0)?;
        }
        steps.push(self.write_down("close all channels", "the end".to_owned()));
        for name in self.queues.keys().cloned().collect::<Vec<_>>() {
            if let Probe::There { messages, .. } = self.queues[&name].now
                && messages > 0
            {
                self.drain(&name)?;
                steps.push(self.write_down(&format!("drain {name}"), "the end".to_owned()));
            }
        }
        Ok(steps)
    }

    /// One after the other: what one of them gives back, another one may get.
    pub(crate) fn close_channels(&mut self, connection: usize, but: usize) -> Result<(), Lost> {
        let open = self.connections[connection].channels.keys();
        for channel in open.skip(but).copied().collect::<Vec<_>>() {
            let place = Place {
                connection,
                channel,
            };
            self.call(place, close_channel())?;
            self.settle_all()?;
        }
        Ok(())
    }

    fn drain(&mut self, name: &str) -> Result<(), Lost> {
        let place = Place {
            connection: self.queues[name].connection,
            channel: CLEANER,
        };
        let get = basic::Get {
            queue: name.into(),
            no_ack: true,
        };
        let get = AMQPClass::Basic(basic::AMQPMethod::Get(get));
        loop {
            self.call(place, get.clone())?;
            self.await_answer(place)?;
            let last = self.connections[place.connection].came.last();
            let got = last.is_some_and(|incoming| incoming.content.is_some());
            if !got {
                return self.settle();
            }
        }
    }

    /// Deletes all that the sequence may have left. What is refused was somebody else's.
    pub(crate) fn clean(&mut self) {
        let made_up = self
            .queues
            .iter()
            .map(|(name, queue)| (queue.connection, name.clone()));
        let mut queues: BTreeMap<_, _> = made_up
            .map(|(connection, name)| (name, connection))
            .collect();
        for name in self.names.queues() {
            queues.entry(name).or_insert(0);
        }
        for (name, connection) in queues {
            let delete = queue::Delete {
                queue: name.into(),
                if_unused: false,
                if_empty: false,
                nowait: false,
            };
            let delete = AMQPClass::Queue(queue::AMQPMethod::Delete(delete));
            let _ = self.call_and_wait(connection, delete);
        }
        for name in self.names.exchanges() {
            let delete = exchange::Delete {
                exchange: name.into(),
                if_unused: false,
                nowait: false,
            };
            let delete = AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete));
            let _ = self.call_and_wait(0, delete);
        }
        for number in 0..self.connections.len() {
            let _ = self.close_connection(number);
        }
    }

    fn call_and_wait(&mut self, connection: usize, class: AMQPClass) -> Result<(), Lost> {
        let place = Place {
            connection,
            channel: CLEANER,
        };
        self.call(place, class)?;
        self.await_answer(place)
    }
}
