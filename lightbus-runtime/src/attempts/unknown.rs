//! A message that this version of the program does not know: while versions change, a newer one may be about to take over.

use std::time::Duration;

use tracing::warn;

use super::{Attempts, Failed, Job, Unreadable};
use crate::delivery::Outcome;
use crate::wire::again;

/// It comes again after a second, after twice that, and so on, up to this.
const LONGEST: Duration = Duration::from_secs(60);
/// Ten minutes in all.
const TIMES: u32 = 15;

impl<J: Job> Attempts<J> {
    /// Puts it off, which is no attempt. It is dead when that was done often enough.
    pub(crate) async fn unknown(self, unreadable: Unreadable) -> Outcome {
        let times = again::times_unknown(self.context.properties());
        let failed = Failed::unreadable(unreadable);
        let Some(delay) = delay(times) else {
            return self.die(failed).await;
        };
        if self.is_lost() {
            return Outcome::Kept;
        }
        warn!(what = J::WHAT, queue = self.job.queue(), context = ?self.context, error = failed.text(), times, of = TIMES, ?delay,
            "a message is unknown to this version of the program; it is put off, for a newer one");
        let copy = again::unknown_again(self.copy_for(self.context.attempt()), times + 1);
        self.put_off_as(copy, delay, failed).await
    }
}

/// Before the next look at a message that was put off so often.
fn delay(times: u32) -> Option<Duration> {
    let doubled = 1_u64.checked_shl(times).unwrap_or(u64::MAX);
    (times < TIMES).then(|| Duration::from_secs(doubled).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_version_has_ten_minutes_to_come() {
        let delays: Vec<Duration> = (0..).map_while(delay).collect();
        assert_eq!(delays[..3], [1, 2, 4].map(Duration::from_secs));
        assert!(delays.is_sorted() && delays.last() == Some(&LONGEST));
        let all: Duration = delays.iter().sum();
        assert!((600..660).contains(&all.as_secs()), "{all:?}");
        assert_eq!(delay(u32::MAX), None);
    }
}
