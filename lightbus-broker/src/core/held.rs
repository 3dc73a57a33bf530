//! Dead letters that must not get lost: their queue holds them until every queue they go to has taken them.

use super::{Core, ids::QueueId, jobs::Job, message::Message, timers::Alarm};
use std::{sync::Arc, time::Duration};

/// How often a letter that somebody did not take is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A dead letter under way.
#[derive(Debug)]
pub(crate) struct Letter {
    message: Arc<Message>,
    /// Nobody rejected it, so that it must not go round in circles.
    automatic: bool,
    /// The queues that have it already.
    taken: Vec<QueueId>,
}

/// The dead letters of one queue that are not safe yet.
#[derive(Debug, Default)]
pub(crate) struct Held {
    fresh: Vec<Letter>,
    /// Those that were tried in vain.
    waiting: Vec<Letter>,
    bytes: usize,
    alarm: bool,
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        self.fresh.len() + self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Arc<Message>> {
        let letters = self.fresh.iter().chain(&self.waiting);
        letters.map(|letter| &letter.message)
    }

    fn push(&mut self, letter: Letter) {
        self.bytes += letter.message.size();
        self.fresh.push(letter);
    }
}

impl Core {
    /// A queue keeps a dead letter until it is safe elsewhere.
    pub(super) fn hold(&mut self, id: QueueId, message: Message, automatic: bool) {
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.held.push(Letter {
                message: Arc::new(message),
                automatic,
                taken: Vec::new(),
            });
            self.jobs.push_back(Job::Forward(id));
        }
    }

    /// Tries those letters of a queue that have not been tried.
    pub(super) fn forward_held(&mut self, id: QueueId) {
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        let (vhost, letters) = (queue.vhost.clone(), std::mem::take(&mut queue.held.fresh));
        let mut safe = 0;
        let mut waiting = Vec::new();
        for mut letter in letters {
            if self.pass_on(&vhost, &mut letter) {
                safe += letter.message.size();
            } else {
                waiting.push(letter);
            }
        }
        let Some(queue) = self.queues.get_mut(&id) else {
            return;
        };
        queue.held.bytes -= safe;
        queue.held.waiting.append(&mut waiting);
        if !queue.held.waiting.is_empty() && !queue.held.alarm {
            queue.held.alarm = true;
            self.timers.set(self.now.instant + RETRY, Alarm::Held(id));
        }
    }

    /// Tries all letters of a queue again.
    pub(super) fn held_alarm(&mut self, id: QueueId) {
        if let Some(queue) = self.queues.get_mut(&id) {
            let held = &mut queue.held;
            held.alarm = false;
            held.waiting.append(&mut held.fresh);
            std::mem::swap(&mut held.waiting, &mut held.fresh);
            self.forward_held(id);
        }
    }

    fn takes(&mut self, id: QueueId, message: &Message) -> bool {
        self.queues
            .get_mut(&id)
            .is_some_and(|queue| !queue.refuses(message))
    }

    /// Gives a letter to the queues that do not have it; says whether it is safe now. It is not while it leads nowhere.
    fn pass_on(&mut self, vhost: &str, letter: &mut Letter) -> bool {
        let targets = self.targets_of_letter(vhost, &letter.message, letter.automatic);
        let mut fresh = targets.clone();
        fresh.retain(|id| !letter.taken.contains(id) && self.takes(*id, &letter.message));
        if !fresh.is_empty() {
            self.note_dead_letter(vhost, &letter.message, &fresh);
        }
        for id in fresh {
            if self.enqueue(id, &letter.message) {
                letter.taken.push(id);
            }
        }
        !letter.taken.is_empty() && targets.iter().all(|id| letter.taken.contains(id))
    }
}
