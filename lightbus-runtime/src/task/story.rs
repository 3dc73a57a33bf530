//! A task's records, told as one story: what they say is made of them in the order of the journal, and so by every reader the same.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::record::{Failed, Progress, Record, Says};

/// What is known of one task.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// Everything that had been written by the time somebody asked is in it.
    pub(crate) is_told: bool,
    pub(crate) phase: Phase,
    pub(crate) progress: Option<Progress>,
    pub(crate) replayed: u32,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Phase {
    /// Nothing was written.
    #[default]
    Waiting,
    Running {
        attempt: u32,
        since: SystemTime,
    },
    /// Between two attempts.
    Retrying {
        failed: u32,
        error: String,
    },
    Ended(Arc<End>),
}

/// How a task ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) at: SystemTime,
    pub(crate) attempts: u32,
    /// For how long it counts.
    pub(crate) ttl: Option<Duration>,
    pub(crate) how: How,
}

#[derive(Debug)]
pub(crate) enum How {
    Done(Vec<u8>),
    DoneUnkept(String),
    Failed(Failed),
    Expired,
    Cancelled,
}

impl Story {
    pub(crate) fn new(is_told: bool) -> Self {
        Self {
            is_told,
            ..Self::default()
        }
    }

    pub(crate) fn end(&self) -> Option<&Arc<End>> {
        match &self.phase {
            Phase::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Has it ended, and not among the dead letters, which it could come out of?
    pub(crate) fn is_final(&self) -> bool {
        let is_alive = |end: &Arc<End>| !matches!(end.how, How::Failed(_) | How::Expired);
        self.end().is_some_and(is_alive)
    }

    /// Goes on with the next record. The first end counts, whatever another delivery of the same task makes of it; but what comes out of the dead letters begins anew.
    pub(crate) fn add(&mut self, record: Record) {
        let is_request = record.says == Says::Cancel;
        if record.replayed > self.replayed {
            *self = Self {
                replayed: record.replayed,
                ..Self::new(self.is_told)
            };
        }
        // Who cancels does not know how often it was replayed.
        let is_outdated = record.replayed < self.replayed && !is_request;
        if is_outdated || self.end().is_some() {
            return;
        }
        let at = time(record.at_ms);
        let end = |how| {
            Phase::Ended(Arc::new(End {
                at,
                attempts: record.attempt.saturating_add(1),
                ttl: record.ttl,
                how,
            }))
        };
        self.phase = match record.says {
            Says::Started => {
                self.progress = None;
                Phase::Running {
                    attempt: record.attempt,
                    since: at,
                }
            }
            Says::Progress(progress) => {
                self.progress = Some(progress);
                return;
            }
            Says::Retrying(error) => Phase::Retrying {
                failed: record.attempt,
                error,
            },
            Says::Done(value) => end(How::Done(value)),
            Says::DoneUnkept(why) => end(How::DoneUnkept(why)),
            Says::Failed(failed) => end(How::Failed(failed)),
            Says::Expired => end(How::Expired),
            Says::Cancelled => end(How::Cancelled),
            // One that runs is asked to stop, and how it ends is for itself to say.
            Says::Cancel => match self.phase {
                Phase::Running { .. } => return,
                _ => end(How::Cancelled),
            },
            Says::Replayed | Says::Checkpoint(_) | Says::Marker => return,
        };
    }

    /// About how much memory it takes.
    pub(crate) fn size(&self) -> usize {
        const ITSELF: usize = 400;
        let text = self.progress.as_ref().map_or(0, |it| it.text.len());
        let phase = match &self.phase {
            Phase::Retrying { error, .. } => error.len(),
            Phase::Ended(end) => match &end.how {
                How::Done(value) => value.len(),
                How::DoneUnkept(why) => why.len(),
                How::Failed(failed) => {
                    failed.error.len() + failed.domain.as_ref().map_or(0, Vec::len)
                }
                How::Expired | How::Cancelled => 0,
            },
            _ => 0,
        };
        ITSELF + text + phase
    }
}

impl End {
    /// Is it older than its result was to be kept?
    pub(crate) fn is_gone(&self, now: SystemTime) -> bool {
        let age = now.duration_since(self.at).unwrap_or_default();
        self.ttl.is_some_and(|ttl| age > ttl)
    }
}

fn time(ms: i64) -> SystemTime {
    let since = Duration::from_millis(u64::try_from(ms).unwrap_or_default());
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(says: impl IntoIterator<Item = (u32, u32, Says)>) -> Story {
        let mut story = Story::default();
        for (replayed, attempt, says) in says {
            story.add(Record {
                replayed,
                attempt,
                ..Record::new(&crate::clock::Clock::default(), "7", says)
            });
        }
        story
    }

    fn done(value: u8) -> Says {
        Says::Done(vec![value])
    }

    fn value(story: &Story) -> Option<&[u8]> {
        match &story.end()?.how {
            How::Done(value) => Some(value),
            _ => None,
        }
    }

    fn is_cancelled(story: &Story) -> bool {
        story
            .end()
            .is_some_and(|end| matches!(end.how, How::Cancelled))
    }

    #[test]
    fn the_first_end_counts() {
        let story = told([(0, 0, done(1)), (0, 0, Says::Started), (0, 0, done(2))]);
        assert_eq!(value(&story), Some(&[1][..]));
    }

    #[test]
    fn what_comes_out_of_the_dead_letters_begins_anew() {
        let story = told([
            (0, 0, Says::Expired),
            (1, 0, done(2)),
            (0, 0, Says::Expired),
        ]);
        assert_eq!(value(&story), Some(&[2][..]));
        let story = told([(0, 0, Says::Expired), (1, 0, Says::Replayed)]);
        assert!(matches!(story.phase, Phase::Waiting));
        let story = told([(1, 0, done(2)), (1, 0, Says::Replayed)]);
        assert_eq!(value(&story), Some(&[2][..]));
    }

    #[test]
    fn only_what_does_not_run_is_cancelled_by_the_word_alone() {
        assert!(is_cancelled(&told([(0, 0, Says::Cancel)])));
        let between = [
            (0, 0, Says::Started),
            (0, 0, Says::Retrying(String::new())),
            (0, 0, Says::Cancel),
        ];
        assert!(is_cancelled(&told(between)));
        let running = [(0, 0, Says::Started), (0, 0, Says::Cancel), (0, 0, done(1))];
        assert_eq!(value(&told(running)), Some(&[1][..]));
        let replayed = [(1, 0, Says::Started), (1, 0, Says::Retrying(String::new()))];
        assert!(is_cancelled(&told(replayed.into_iter().chain([(
            0,
            0,
            Says::Cancel
        )]))));
    }

    #[test]
    fn an_attempt_begins_without_the_progress_of_the_last_one() {
        let half = Says::Progress(Progress::new(0.5, "half"));
        let story = told([(0, 0, Says::Started), (0, 0, half.clone())]);
        assert_eq!(story.progress.map(|it| it.part), Some(0.5));
        let story = told([(0, 0, Says::Started), (0, 0, half), (0, 1, Says::Started)]);
        assert_eq!(story.progress, None);
        assert!(matches!(story.phase, Phase::Running { attempt: 1, .. }));
    }
}
