//! What others ask of the replica that fires.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::kept::Kept;
use super::lead::Fired;
use super::state::Occurrence;
use super::status::Status;
use super::turn::{Lost, Turn};
use crate::rpc::caller::Caller;

/// An answer that does not get through for so long is given up.
const ANSWER: Duration = Duration::from_secs(5);

/// What somebody asked for.
pub(super) enum Errand {
    Run(RunNow),
    Tell(Caller),
}

pub(super) struct RunNow {
    pub(super) schedule: String,
    pub(super) at: i64,
    pub(super) came: Instant,
}

/// What has become of an errand.
enum Fate {
    Done,
    NotYet,
    /// Nobody can do it.
    Never,
}

impl Turn {
    pub(super) async fn run_errands(&mut self) -> Result<(), Lost> {
        for (errand, tag) in std::mem::take(&mut self.errands) {
            match errand {
                Errand::Tell(caller) => {
                    self.answer(caller).await;
                    self.consumer.ack(tag, false);
                }
                Errand::Run(asked) => match self.run_now(&asked).await? {
                    Fate::Done => self.consumer.ack(tag, false),
                    Fate::NotYet => self.errands.push((Errand::Run(asked), tag)),
                    Fate::Never => self.ignore(tag, &asked.schedule),
                },
            }
        }
        Ok(())
    }

    async fn run_now(&mut self, asked: &RunNow) -> Result<Fate, Lost> {
        let Some(entry) = self.entries.get(&asked.schedule).map(Arc::clone) else {
            // A replica of another version may have it, and may take over.
            return Ok(
                match asked.came.elapsed() < self.core.config.schedule_grace {
                    true => Fate::NotYet,
                    false => Fate::Never,
                },
            );
        };
        let run = Occurrence {
            at: asked.at,
            manual: true,
        };
        let kept = self.kept.entry(asked.schedule.clone()).or_default();
        // Fired by one who was lost before it could say that it had done the errand.
        let known = kept.state.runs.iter().any(|known| known.occurrence == run);
        match known || self.fire(&entry, run).await? == Fired::Yes {
            true => Ok(Fate::Done),
            false => Ok(Fate::NotYet),
        }
    }

    async fn answer(&mut self, caller: Caller) {
        let answer = serde_json::to_vec(&self.tell()).unwrap_or_default();
        let core = Arc::clone(&self.core);
        let answering = caller.answer(&core, None, &answer);
        if tokio::time::timeout(ANSWER, answering).await.is_err() {
            core.counters.replies_dropped.add();
        }
    }

    fn tell(&self) -> Vec<Status> {
        let tell = |(name, kept): (&String, &Kept)| {
            Status::of(name, self.entries.get(name).map(AsRef::as_ref), &kept.state)
        };
        self.kept.iter().map(tell).collect()
    }
}
