//! What becomes of tasks: streams of an API that remember it, behind one exchange.
//!
//! A stream is read by any number of readers, each from where it likes; nothing is taken out of it, and what is oldest goes when it is full.

use super::{Arguments, Binding, Exchange, Kind, Plan, Queue, Value, exchange, queue_type, text};

/// No result is kept for longer.
const MAX_AGE: &str = "7D";
const MIB: i64 = 1 << 20;

/// One of an API's streams about its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Log {
    /// How tasks begin, go on and end: of those whose result is kept.
    Journal,
    /// Which tasks are not to run any more.
    Cancelled,
    /// How far a task has come, by its own word.
    Checkpoints,
}

impl Log {
    pub(crate) fn stream(self, api: &str) -> String {
        match self {
            Self::Journal => format!("lb.journal.{api}"),
            Self::Cancelled => format!("lb.cancelled.{api}"),
            Self::Checkpoints => format!("lb.checkpoints.{api}"),
        }
    }

    /// The key of what is for this stream alone.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Cancelled => "cancelled",
            Self::Checkpoints => "checkpoints",
        }
    }

    /// Whole segments go, and never the one that is being written: with few of them, little would ever go.
    fn arguments(self) -> Arguments {
        let (most, segment) = match self {
            Self::Journal | Self::Checkpoints => (1024 * MIB, 32 * MIB),
            Self::Cancelled => (64 * MIB, 8 * MIB),
        };
        let mut arguments = vec![
            queue_type("stream"),
            ("x-max-length-bytes", Value::Number(most)),
            ("x-stream-max-segment-size-bytes", Value::Number(segment)),
        ];
        if self != Self::Cancelled {
            // A task may be cancelled years before it is due.
            arguments.push(("x-max-age", text(MAX_AGE)));
        }
        arguments
    }
}

/// With this key, word that a task is cancelled goes to those who run it, and to those who wait for it.
pub(crate) const CANCEL_KEY: &str = "cancel";

pub(crate) fn journal_exchange(api: &str) -> String {
    format!("lb.journal.{api}")
}

/// A stream, and the ways to it.
pub(crate) fn log_plan(api: &str, log: Log) -> Plan {
    let stream = log.stream(api);
    let bind = |key: &str| Binding {
        queue: stream.clone(),
        exchange: journal_exchange(api),
        key: key.to_owned(),
    };
    let mut bindings = vec![bind(log.key())];
    if log != Log::Checkpoints {
        bindings.push(bind(CANCEL_KEY));
    }
    Plan {
        exchanges: vec![journal_exchange_of(api)],
        queues: vec![Queue {
            name: stream.clone(),
            arguments: log.arguments(),
        }],
        bindings,
        ..Plan::default()
    }
}

/// What cancelling a task needs.
pub(crate) fn cancel_plan(api: &str) -> Plan {
    let mut plan = log_plan(api, Log::Cancelled);
    plan.merge(log_plan(api, Log::Journal));
    plan
}

fn journal_exchange_of(api: &str) -> Exchange {
    exchange(journal_exchange(api), Kind::Direct)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cancellations_have_no_age() {
        for (log, aged) in [
            (Log::Journal, true),
            (Log::Checkpoints, true),
            (Log::Cancelled, false),
        ] {
            let plan = log_plan("auth", log);
            let arguments = &plan.queues[0].arguments;
            let has_age = arguments.iter().any(|(name, _)| *name == "x-max-age");
            assert_eq!(has_age, aged, "{log:?}");
        }
    }

    #[test]
    fn a_cancellation_goes_to_who_runs_the_task_and_to_who_waits_for_it() {
        let plan = cancel_plan("auth");
        let bindings = plan.bindings.iter();
        let told: Vec<_> = bindings
            .filter(|binding| binding.key == CANCEL_KEY)
            .map(|binding| binding.queue.as_str())
            .collect();
        assert_eq!(told, ["lb.cancelled.auth", "lb.journal.auth"]);
    }
}
