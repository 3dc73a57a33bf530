//! When a failed event is tried again: a policy, and what a handler may say against it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::topology::LONGEST_DELAY;

const ATTEMPTS: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(15 * 60);
const JITTER: f64 = 0.2;

/// How often a failing event is tried, and how long after each failure.
///
/// The default is [`exponential`](Self::exponential) from one second on: 5 attempts, after 1, 2, 4 and 8 s, give or take 20 %. When the last attempt
/// has failed, the event goes to the queue's dead letters.
///
/// A delay of half a second or more is spent on the broker, in whole seconds (rounded up or down by chance, in proportion): it outlasts a restart, holds up no other event, and another replica may make the
/// next attempt. A shorter one is waited for in place, and takes up a place among the events that the listener handles at a time. So is any of an ordered
/// or a broadcast listener, up to 15 minutes: RabbitMQ takes an event away from who keeps it for half an hour.
///
/// ```
/// # use lightbus_runtime::Retry;
/// use std::time::Duration;
/// let patient = Retry::exponential(Duration::from_secs(10)).longest(Duration::from_secs(3600)).attempts(10);
/// let listed = Retry::list([Duration::from_secs(1), Duration::from_secs(30), Duration::from_secs(600)]);
/// assert_eq!(listed.most_attempts(), 4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    attempts: u32,
    delays: Delays,
    jitter: f64,
}

#[derive(Clone, Debug, PartialEq)]
enum Delays {
    List(Arc<[Duration]>),
    Exponential { first: Duration, longest: Duration },
}

impl Default for Retry {
    fn default() -> Self {
        Self::exponential(FIRST)
    }
}

impl Retry {
    fn new(attempts: u32, delays: Delays, jitter: f64) -> Self {
        Self {
            attempts,
            delays,
            jitter,
        }
    }

    /// One attempt and no more: what fails is dead at once.
    pub fn never() -> Self {
        Self::immediate().attempts(1)
    }

    /// 5 attempts, one right after the other.
    pub fn immediate() -> Self {
        Self::fixed(Duration::ZERO)
    }

    /// 5 attempts, with the same delay between any two.
    pub fn fixed(delay: Duration) -> Self {
        Self::new(ATTEMPTS, Delays::List([delay].into()), 0.0)
    }

    /// An attempt after each of these delays, and the first one before them. An empty list is [`never`](Self::never).
    pub fn list(delays: impl IntoIterator<Item = Duration>) -> Self {
        let delays: Arc<[Duration]> = delays.into_iter().collect();
        let attempts = u32::try_from(delays.len()).unwrap_or(u32::MAX);
        Self::new(attempts.saturating_add(1), Delays::List(delays), 0.0)
    }

    /// 5 attempts. Each delay is twice the one before, up to [`longest`](Self::longest), give or take [`jitter`](Self::jitter).
    pub fn exponential(first: Duration) -> Self {
        let longest = LONGEST.max(first);
        Self::new(ATTEMPTS, Delays::Exponential { first, longest }, JITTER)
    }

    /// How often an event is tried in all, the first time included. At least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The longest delay of an exponential policy. Default: 15 minutes.
    pub fn longest(mut self, delay: Duration) -> Self {
        if let Delays::Exponential { longest, .. } = &mut self.delays {
            *longest = delay;
        }
        self
    }

    /// By which part of itself a delay may be longer or shorter, 0 to 1, so that what failed together does not come back together. Default: 0.2 of an exponential
    /// delay, none of the others.
    pub fn jitter(mut self, part: f64) -> Self {
        self.jitter = if part.is_finite() {
            part.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self
    }

    /// How often an event is tried in all.
    pub fn most_attempts(&self) -> u32 {
        self.attempts
    }

    /// How long to wait after so many attempts that failed; `None` when that was the last one. `chance` is a number from 0 to 1.
    pub(crate) fn delay(&self, failed: u32, chance: f64) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let nth = failed.saturating_sub(1);
        let delay = match &self.delays {
            Delays::List(delays) => {
                let nth = usize::try_from(nth).unwrap_or(usize::MAX);
                let delay = delays.get(nth).or_else(|| delays.last());
                delay.copied().unwrap_or_default()
            }
            Delays::Exponential { first, longest } => {
                let factor = 1u32.checked_shl(nth).unwrap_or(u32::MAX);
                first.saturating_mul(factor).min(*longest)
            }
        };
        let delay = delay.min(LONGEST_DELAY);
        Some(delay.mul_f64(1.0 + self.jitter * (2.0 * chance - 1.0)))
    }
}

/// Why a handler failed, when it has something to say about the next attempt. Any error becomes one by `?`, and is then retried by the listener's policy.
///
/// ```
/// # use lightbus_runtime::HandlerError;
/// # use std::time::Duration;
/// # struct UserRegistered { email: String }
/// # async fn send(_: &str) -> Result<u16, std::io::Error> { Ok(200) }
/// async fn welcome(user: UserRegistered) -> Result<(), HandlerError> {
///     if !user.email.contains('@') {
///         return Err(HandlerError::permanent("this is no address"));
///     }
///     match send(&user.email).await? {
///         429 => Err(HandlerError::retry_after(Duration::from_secs(60), "the mail service is busy")),
///         _ => Ok(()),
///     }
/// }
/// ```
pub struct HandlerError {
    error: BoxError,
    wish: Wish,
}

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// What becomes of the event whose handler failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// As the listener's policy says.
    Policy,
    /// It would fail again: dead at once.
    Permanent,
    /// Later, and for as many attempts as the policy has.
    After(Duration),
}

impl HandlerError {
    /// Do not try again: the event goes to the dead letters at once.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            wish: Wish::Permanent,
        }
    }

    /// Try again after this time instead of the policy's, if the policy has an attempt left.
    pub fn retry_after(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self {
            error: error.into(),
            wish: Wish::After(delay.min(LONGEST_DELAY)),
        }
    }

    pub(crate) fn wish(&self) -> Wish {
        self.wish
    }

    /// The error's text, and those of its causes.
    pub(crate) fn chain(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let mut next: Option<&(dyn StdError + 'static)> = Some(&*self.error);
        while let Some(error) = next {
            texts.push(error.to_string());
            next = error.source();
        }
        texts
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            wish: Wish::Policy,
        }
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("error", &self.error)
            .field("wish", &self.wish)
            .finish()
    }
}

/// A number from 0 to 1. Not for secrets: the low bits of a random id.
pub(crate) fn chance() -> f64 {
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn delays(retry: &Retry, chance: f64) -> Vec<f64> {
        (1..)
            .map_while(|failed| retry.delay(failed, chance))
            .map(|delay| delay.as_secs_f64())
            .collect()
    }

    #[test]
    fn the_default_doubles_four_times_and_ends() {
        assert_eq!(delays(&Retry::default(), 0.5), [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(delays(&Retry::default(), 0.0), [0.8, 1.6, 3.2, 6.4]);
        assert_eq!(delays(&Retry::default(), 1.0), [1.2, 2.4, 4.8, 9.6]);
    }

    #[test]
    fn an_exponential_delay_stops_growing_and_never_overflows() {
        let many = Retry::exponential(SECOND).attempts(100).jitter(0.0);
        let delays = delays(&many, 0.5);
        assert_eq!((delays.len(), delays[98]), (99, LONGEST.as_secs_f64()));
        let endless = Retry::exponential(Duration::MAX).longest(Duration::MAX);
        assert_eq!(endless.delay(1, 0.5), Some(LONGEST_DELAY));
    }

    #[test]
    fn a_list_gives_its_delays_and_more_attempts_repeat_the_last() {
        let listed = Retry::list([SECOND, 5 * SECOND]);
        assert_eq!(delays(&listed, 0.0), [1.0, 5.0]);
        assert_eq!(delays(&listed.attempts(5), 0.0), [1.0, 5.0, 5.0, 5.0]);
        assert_eq!(delays(&Retry::list([]), 0.0), [] as [f64; 0]);
    }

    #[test]
    fn never_immediate_and_fixed_are_what_they_say() {
        assert_eq!(Retry::never().delay(1, 0.0), None);
        assert_eq!(delays(&Retry::immediate(), 1.0), [0.0; 4]);
        assert_eq!(delays(&Retry::fixed(SECOND).attempts(3), 1.0), [1.0; 2]);
    }

    #[test]
    fn any_error_becomes_one_that_follows_the_policy() {
        fn read() -> Result<(), HandlerError> {
            Err(std::io::Error::other("disk"))?;
            Err("text")?
        }
        let error = read().map_err(|error| (error.wish(), error.to_string()));
        assert_eq!(error, Err((Wish::Policy, "disk".to_owned())));
        assert_eq!(HandlerError::permanent("x").wish(), Wish::Permanent);
    }
}
