//! What those who watch the broker have not been told yet: a ring of events that forgets the oldest rather than grow.

use super::{
    Now,
    event::{Event, EventKind},
    ids::IdMap,
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Somebody who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct WatcherId(u64);

/// The events, and how far each watcher has read.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Somebody watches. Nothing is noted otherwise.
    pub(crate) on: bool,
    events: VecDeque<Event>,
    /// The bytes of the messages that the events hold on to.
    weight: usize,
    most_events: usize,
    most_weight: usize,
    /// The number of the next event.
    next: u64,
    /// The number of the event that each is to read next.
    readers: IdMap<u64, u64>,
    last_reader: u64,
    /// Something was noted since somebody asked.
    news: bool,
    /// A moment and its date, by which all others are dated.
    epoch: (Instant, SystemTime),
}

impl Watch {
    pub(crate) fn new(most_events: usize, most_weight: usize, now: Now) -> Self {
        Self {
            on: false,
            events: VecDeque::new(),
            weight: 0,
            most_events,
            most_weight,
            next: 1,
            readers: IdMap::default(),
            last_reader: 0,
            news: false,
            epoch: (now.instant, UNIX_EPOCH + Duration::from_secs(now.unix)),
        }
    }

    /// Lets somebody watch from now on.
    pub(crate) fn open(&mut self) -> WatcherId {
        self.on = true;
        self.last_reader += 1;
        self.readers.insert(self.last_reader, self.next);
        WatcherId(self.last_reader)
    }

    /// Somebody watches no longer.
    pub(crate) fn close(&mut self, id: WatcherId) {
        self.readers.remove(&id.0);
        self.on = !self.readers.is_empty();
        self.forget_read();
    }

    /// Notes what happened.
    pub(crate) fn note(&mut self, now: Now, kind: EventKind) {
        let event = Event {
            number: self.next,
            time: self.date(now),
            kind,
        };
        self.next += 1;
        self.news = true;
        self.weight += weight(&event);
        self.events.push_back(event);
        // What has just happened is told, however heavy it is.
        while self.events.len() > 1
            && (self.events.len() > self.most_events || self.weight > self.most_weight)
        {
            self.forget_first();
        }
    }

    /// Whether something was noted since this was asked last.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// What a watcher is to be told next, at most so many events. What it was too slow for is counted in the first.
    pub(crate) fn read(&mut self, id: WatcherId, most: usize, into: &mut VecDeque<Event>) {
        let first = self.next - self.events.len() as u64;
        let Some(cursor) = self.readers.get_mut(&id.0) else {
            return;
        };
        if *cursor < first {
            let time = self.events.front().map_or(self.epoch.1, |event| event.time);
            into.push_back(Event {
                number: first - 1,
                time,
                kind: EventKind::Missed {
                    count: first - *cursor,
                },
            });
            *cursor = first;
        }
        let from = (*cursor - first) as usize;
        let until = self.events.len().min(from + most);
        into.extend(self.events.range(from..until).cloned());
        *cursor += (until - from) as u64;
        self.forget_read();
    }

    /// Forgets what everybody has read.
    fn forget_read(&mut self) {
        let needed = self.readers.values().min().copied().unwrap_or(self.next);
        while self.next - (self.events.len() as u64) < needed {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(gone) = self.events.pop_front() {
            self.weight -= weight(&gone);
        }
    }

    /// Sets the date that the first moment had, to the fraction of a second.
    pub(crate) fn set_epoch(&mut self, date: SystemTime) {
        self.epoch.1 = date;
    }

    /// The date of a moment.
    pub(crate) fn date(&self, now: Now) -> SystemTime {
        self.epoch.1 + self.uptime(now)
    }

    /// How long the broker was there at a moment.
    pub(crate) fn uptime(&self, now: Now) -> Duration {
        now.instant.saturating_duration_since(self.epoch.0)
    }
}

/// What an event keeps alive, in bytes.
fn weight(event: &Event) -> usize {
    event.message().map_or(0, |message| message.weight())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::QueueName;

    fn watch(most: usize) -> (Watch, Now) {
        let now = Now {
            instant: Instant::now(),
            unix: 100,
        };
        (Watch::new(most, 0, now), now)
    }

    fn event() -> EventKind {
        EventKind::QueueDeclared {
            queue: QueueName {
                vhost: "/".into(),
                name: "q".into(),
            },
        }
    }

    fn read(watch: &mut Watch, id: WatcherId, most: usize) -> Vec<(u64, Option<u64>)> {
        let mut events = VecDeque::new();
        watch.read(id, most, &mut events);
        let seen = |event: Event| match event.kind {
            EventKind::Missed { count } => (event.number, Some(count)),
            _ => (event.number, None),
        };
        events.into_iter().map(seen).collect()
    }

    #[test]
    fn each_reads_at_its_own_pace_and_what_all_have_read_is_forgotten() {
        let (mut watch, now) = watch(10);
        let (fast, slow) = (watch.open(), watch.open());
        for _ in 0..3 {
            watch.note(now, event());
        }
        assert_eq!(read(&mut watch, fast, 9), [(1, None), (2, None), (3, None)]);
        assert_eq!(read(&mut watch, fast, 9), []);
        assert_eq!(watch.events.len(), 3);
        assert_eq!(read(&mut watch, slow, 2), [(1, None), (2, None)]);
        assert_eq!(watch.events.len(), 1);
        watch.close(slow);
        assert_eq!(watch.events.len(), 0);
        assert!(watch.on);
        watch.close(fast);
        assert!(!watch.on);
    }

    #[test]
    fn the_slow_miss_the_oldest_and_are_told_how_many() {
        let (mut watch, now) = watch(2);
        let slow = watch.open();
        for _ in 0..5 {
            watch.note(now, event());
        }
        assert_eq!(
            read(&mut watch, slow, 9),
            [(3, Some(3)), (4, None), (5, None)]
        );
        watch.note(now, event());
        assert_eq!(read(&mut watch, slow, 9), [(6, None)]);
    }

    #[test]
    fn news_are_told_once() {
        let (mut watch, now) = watch(2);
        watch.open();
        assert!(!watch.take_news());
        watch.note(now, event());
        assert!(watch.take_news());
        assert!(!watch.take_news());
        assert_eq!(watch.date(now), UNIX_EPOCH + Duration::from_secs(100));
    }
}
