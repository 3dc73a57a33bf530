//! Counts of messages that ended, or went on, in another way than they were meant to. Nothing on the usual path counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_many(&self, many: usize) {
        let many = u64::try_from(many).unwrap_or(u64::MAX);
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What became of messages that were tried until handled or dead.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) retried: Counter,
    pub(crate) dead: Counter,
    pub(crate) dropped: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) put_off: Counter,
    pub(crate) not_noted: Counter,
}

/// The counters of one bus.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) events_unconfirmed: Counter,
    pub(crate) events: Tally,
    pub(crate) tasks: Tally,
    pub(crate) tasks_expired: Counter,
    pub(crate) tasks_cancelled: Counter,
    pub(crate) results_lost: Counter,
    pub(crate) checkpoints_lost: Counter,
    pub(crate) flows_stuck: Counter,
    pub(crate) groups_given_up: Counter,
    pub(crate) task_records_ignored: Counter,
    pub(crate) outbox_repeated: Counter,
    pub(crate) outbox_refused: Counter,
    pub(crate) calls_refused: Counter,
    pub(crate) calls_unanswered: Counter,
    pub(crate) calls_retried: Counter,
    pub(crate) call_channels_closed: Counter,
    pub(crate) calls_given_up: Counter,
    pub(crate) calls_cancelled: Counter,
    pub(crate) cancels_lost: Counter,
    pub(crate) cancels_unmatched: Counter,
    pub(crate) control_ignored: Counter,
    pub(crate) replies_ignored: Counter,
    pub(crate) replies_dropped: Counter,
    pub(crate) messages_unreadable: Counter,
    pub(crate) schedules_fired: Counter,
    pub(crate) schedules_missed: Counter,
    pub(crate) schedules_overlapped: Counter,
    pub(crate) schedules_refused: Counter,
    pub(crate) schedule_reports_lost: Counter,
}

/// How many messages ended, or went on, in another way than they were meant to, since this bus was connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Events whose confirmation did not come in time: they may or may not be stored.
    pub events_unconfirmed: u64,
    /// Events that failed here and were put off for another attempt.
    pub events_retried: u64,
    /// Events that this process moved to the dead letters: no attempt was left, or they could not be read.
    pub events_dead: u64,
    /// Events that a broadcast listener dropped, because it failed or could not read them.
    pub events_dropped: u64,
    /// Events that a listener which [deduplicates](crate::Subscription::deduplicate) had handled before, and did not handle again.
    pub events_duplicate: u64,
    /// Events put off without an attempt, because another process was handling the same message.
    pub events_put_off: u64,
    /// Events that were handled while the store could not note it: one that comes again is handled again.
    pub events_not_noted: u64,
    /// Tasks that failed here and were put off for another attempt.
    pub tasks_retried: u64,
    /// Tasks put off without an attempt, because this version of the program does not know them: each time is counted. After ten minutes they are dead.
    pub tasks_put_off: u64,
    /// Tasks that this process moved to the dead letters: no attempt was left, they could not be read, or they had expired.
    pub tasks_dead: u64,
    /// Of those, the ones that had waited for longer than they may.
    pub tasks_expired: u64,
    /// Tasks that came up here and were not run, or not tried again, because somebody had cancelled them.
    pub tasks_cancelled: u64,
    /// Tasks that ended here while their result could not be kept: it is too large, or the broker refused it. Who waits for it waits in vain, or hears why.
    pub results_lost: u64,
    /// Checkpoints that could not be read: the task went on from the one before, or from its beginning.
    pub checkpoints_lost: u64,
    /// Ends of flows that could not be told to those who wait for them: the broker refused it, or what should have run then cannot be enqueued.
    pub flows_stuck: u64,
    /// Groups of tasks that were not complete a week after the last of their members was heard of.
    pub groups_given_up: u64,
    /// What lay among the records of tasks and is none, or is none that this version understands.
    pub task_records_ignored: u64,
    /// Events of an outbox that could not be published, or were not confirmed in time: they stay, and are published again under the same id.
    pub outbox_repeated: u64,
    /// Events of an outbox that the broker, or a limit of this bus, refused for good: they stay in the outbox, with the reason.
    pub outbox_refused: u64,
    /// Calls that this process refused to run: expired, unreadable, too large, unknown, delivered before, or without a legal address
    /// for the answer; or because it was shutting down.
    pub calls_refused: u64,
    /// Calls that this process began and did not answer: their handlers were cancelled, or still running at the end of the grace period.
    pub calls_unanswered: u64,
    /// Calls of this process that a provider gave back because it was shutting down, and that were sent again.
    pub calls_retried: u64,
    /// Times that the broker closed the channel which this process's calls and answers share, because it refused one of them. The calls and answers
    /// just sent by it may be lost, and such calls time out; later ones take another channel. The log has the broker's words. Noted when the channel
    /// is next used, or its answers waited for.
    pub call_channels_closed: u64,
    /// Calls of `#[rpc(cancel)]` methods that this process gave up before their answer came, and told the providers so.
    pub calls_given_up: u64,
    /// Calls of `#[rpc(cancel)]` methods whose handlers this process ended, or did not begin: the caller had given up, or the
    /// deadline had passed.
    pub calls_cancelled: u64,
    /// Calls given up like that without the providers hearing of it: there was no connection, or the broker blocked it.
    pub cancels_lost: u64,
    /// Words to this provider that a call is given up which does not run here: another replica has it, or it has ended, or is still
    /// to come.
    pub cancels_unmatched: u64,
    /// Control messages that say nothing this version understands.
    pub control_ignored: u64,
    /// Replies that no call waits for: it had given up, or never was.
    pub replies_ignored: u64,
    /// Replies that had nowhere to go: the caller's address does not exist, or the bus was closed before they could leave.
    pub replies_dropped: u64,
    /// Messages with headers that are nested too deep, or with properties that are not UTF-8: events went to the dead letters, calls were
    /// refused, replies failed their call.
    pub messages_unreadable: u64,
    /// Occurrences of schedules that this process fired.
    pub schedules_fired: u64,
    /// Occurrences that were missed, and left out as the schedule says. Of very many in a row not all are counted.
    pub schedules_missed: u64,
    /// Occurrences that were left out because an earlier one's task still waited or ran.
    pub schedules_overlapped: u64,
    /// Attempts to fire that failed because the task's queue was full, or could not be set up: they are repeated.
    pub schedules_refused: u64,
    /// Ends of scheduled tasks that the schedule's app could not be told of.
    pub schedule_reports_lost: u64,
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        Counts {
            events_unconfirmed: self.events_unconfirmed.get(),
            events_retried: self.events.retried.get(),
            events_dead: self.events.dead.get(),
            events_dropped: self.events.dropped.get(),
            events_duplicate: self.events.duplicate.get(),
            events_put_off: self.events.put_off.get(),
            events_not_noted: self.events.not_noted.get(),
            tasks_retried: self.tasks.retried.get(),
            tasks_put_off: self.tasks.put_off.get(),
            tasks_dead: self.tasks.dead.get(),
            tasks_expired: self.tasks_expired.get(),
            tasks_cancelled: self.tasks_cancelled.get(),
            results_lost: self.results_lost.get(),
            checkpoints_lost: self.checkpoints_lost.get(),
            flows_stuck: self.flows_stuck.get(),
            groups_given_up: self.groups_given_up.get(),
            task_records_ignored: self.task_records_ignored.get(),
            outbox_repeated: self.outbox_repeated.get(),
            outbox_refused: self.outbox_refused.get(),
            calls_refused: self.calls_refused.get(),
            calls_unanswered: self.calls_unanswered.get(),
            calls_retried: self.calls_retried.get(),
            call_channels_closed: self.call_channels_closed.get(),
            calls_given_up: self.calls_given_up.get(),
            calls_cancelled: self.calls_cancelled.get(),
            cancels_lost: self.cancels_lost.get(),
            cancels_unmatched: self.cancels_unmatched.get(),
            control_ignored: self.control_ignored.get(),
            replies_ignored: self.replies_ignored.get(),
            replies_dropped: self.replies_dropped.get(),
            messages_unreadable: self.messages_unreadable.get(),
            schedules_fired: self.schedules_fired.get(),
            schedules_missed: self.schedules_missed.get(),
            schedules_overlapped: self.schedules_overlapped.get(),
            schedules_refused: self.schedules_refused.get(),
            schedule_reports_lost: self.schedule_reports_lost.get(),
        }
    }
}
