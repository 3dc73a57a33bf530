//! A recording, sent once more.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use lightbus_runtime::__testing::{Kind, RawError, Sendable};
use lightbus_runtime::{Bus, CallError};
use serde_json::Value;
use tokio::time::Instant;

use super::{Answer, Recorded};
use crate::testing::compare::{describe, differences};

/// Sends a recording once more when it is awaited: events are published, calls made and their answers waited for, tasks enqueued, one after the other and as fast as that goes, all of them by the app of this bus
/// and under new ids. Made by [`Recording::replay`](super::Recording::replay).
///
/// What the programs under test send by themselves is in a recording, too, and would be sent twice: choose what to send, by [`by`](super::Recording::by) and [`only`](super::Recording::only).
///
/// - What was secret is sent as the text `"[secret]"`; [`Replayed::redacted`] says where.
/// - Whether a task expires, is unique, or has its result kept is not in a recording, nor is what follows a task: the tasks that followed are in it by themselves.
///
/// # Errors
/// When something was not sent: what could not be read when it was recorded; what the bus refused; a call that had an answer, and has none now. Also, if they are
/// [compared](Self::compare_answers), when answers differ. All others are sent all the same.
#[must_use = "nothing is sent until this is awaited"]
pub struct Replay {
    bus: Bus,
    messages: Vec<Recorded>,
    pace: Option<f64>,
    compares: bool,
}

/// What was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replayed {
    /// How many messages.
    pub sent: usize,
    /// Those whose secrets are not known, each once: `auth.check_password: password`.
    pub redacted: Vec<String>,
}

/// What could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayError {
    /// A text for each message.
    pub problems: Vec<String>,
    /// Of how many messages in all.
    pub of: usize,
}

impl Replay {
    pub(super) fn new(messages: Vec<Recorded>, bus: &Bus) -> Self {
        Self {
            bus: bus.clone(),
            messages,
            pace: None,
            compares: false,
        }
    }

    /// Sends each no earlier than it was sent after the first one: at 1.0 as it was, at 2.0 twice as fast, by the system's time. Default: as fast as possible.
    pub fn at_pace(mut self, pace: f64) -> Self {
        self.pace = Some(pace);
        self
    }

    /// Says so if a call is answered otherwise than it was. What was secret is not compared.
    pub fn compare_answers(mut self) -> Self {
        self.compares = true;
        self
    }

    async fn run(self) -> Result<Replayed, ReplayError> {
        let begun = Instant::now();
        let first = self.messages.first().map_or(Duration::ZERO, |it| it.at);
        let (mut redacted, mut problems) = (Vec::new(), Vec::new());
        for (message, number) in self.messages.iter().zip(1..) {
            if let Some(pace) = self.pace {
                let after = message.at.saturating_sub(first).as_secs_f64() / pace;
                let after = Duration::try_from_secs_f64(after).unwrap_or_default();
                tokio::time::sleep_until(begun + after).await;
            }
            if let Err(why) = self.send(message).await {
                let (number, subject): (usize, _) = (number, message.subject());
                problems.push(format!("message {number}, {subject}: {why}"));
            }
            let secrets = message.secrets();
            if !secrets.is_empty() {
                redacted.push(format!("{}: {}", message.subject(), secrets.join(", ")));
            }
        }
        redacted.sort();
        redacted.dedup();
        let of = self.messages.len();
        match problems.is_empty() {
            true => Ok(Replayed { sent: of, redacted }),
            false => Err(ReplayError { problems, of }),
        }
    }

    async fn send(&self, message: &Recorded) -> Result<(), String> {
        let raw = message.raw();
        let raw = raw.map_err(|why| format!("its content was not recorded: {why}"))?;
        let sent = raw.send(&self.bus).await;
        if message.kind != Kind::Call {
            return sent.map(drop).map_err(|error| error.to_string());
        }
        let answer = match sent {
            Ok(value) => Ok(value),
            Err(RawError::Call(CallError::Domain(error))) => Err(error),
            // It had no answer then, either.
            Err(RawError::Call(_)) if is_failed(message.answer.as_ref()) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        match &message.answer {
            Some(recorded) if self.compares && !recorded.is_secret() => compare(recorded, answer),
            _ => Ok(()),
        }
    }
}

fn is_failed(answer: Option<&Answer>) -> bool {
    matches!(answer, None | Some(Answer::Failed(_)))
}

fn compare(recorded: &Answer, now: Result<Value, Value>) -> Result<(), String> {
    let (was, now_is) = match (recorded, now) {
        (Answer::Value { value, .. }, Ok(now)) => (value, now),
        (Answer::Error { error, .. }, Err(now)) => (error, now),
        (Answer::Value { value, .. }, Err(now)) => {
            return Err(format!(
                "it was answered {value}, and is now refused: {now}"
            ));
        }
        (Answer::Error { error, .. }, Ok(now)) => {
            return Err(format!(
                "it was refused, {error}, and is now answered {now}"
            ));
        }
        (Answer::Failed(why), Ok(now) | Err(now)) => {
            return Err(format!("it failed, {why}, and is now answered {now}"));
        }
    };
    match differences(was, &now_is) {
        all if all.is_empty() => Ok(()),
        all => Err(format!("it is answered otherwise\n{}", describe(&all))),
    }
}

impl IntoFuture for Replay {
    type Output = Result<Replayed, ReplayError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("messages", &self.messages.len())
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (some, all) = (self.problems.len(), self.of);
        write!(f, "of {all} messages, {some} could not be replayed:")?;
        for problem in &self.problems {
            write!(f, "\n  - {}", problem.trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for ReplayError {}
