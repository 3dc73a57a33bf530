//! How the apps of the company tell what they do. None of this is needed to use lightbus.
//!
//! An app writes one [`Entry`] a line to its standard output: as JSON when the launcher started it, in words when
//! a person did. The launcher gives all apps the *same* pipe, so the order of the lines is the order in which things
//! happened, across all processes.

use std::fmt::{self, Display};
use std::io::{self, Read, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lightbus::Context;
use serde::{Deserialize, Serialize};

/// The launcher sets this variable: the app then writes JSON, and ends when its standard input does.
pub const LAUNCHED: &str = "COMPANY_LAUNCHED";

/// How long an app may take to finish what it is doing, once the launcher is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// One thing that happened in one app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The app, or the customer, to whom it happened.
    pub who: String,
    /// When, in microseconds since 1970.
    pub at: u64,
    /// The id of the message being handled, if any: what is done on account of it bears the same id.
    pub cause: Option<String>,
    /// What happened.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The app serves and listens.
    Ready,
    /// A call starts.
    Asks {
        /// Names this call among those of the same process.
        call: u64,
        /// `warranty.coverage(A-1001)`.
        question: String,
    },
    /// A call has ended.
    Answered {
        /// The call's number.
        call: u64,
        /// The answer, or the error.
        answer: Result<String, String>,
        /// How long the call took, in microseconds.
        took: u64,
    },
    /// An event is about to be published.
    Announces {
        /// `sales.machine_sold(A-1001)`.
        event: String,
    },
    /// An event has been received.
    Hears {
        /// `sales.machine_sold`.
        event: String,
        /// What the app does about it.
        says: String,
    },
}

static APP: OnceLock<&'static str> = OnceLock::new();
static CALLS: AtomicU64 = AtomicU64::new(0);

/// A program calls this first: names the app, sends its log to the standard error, and makes it end with its launcher.
pub fn open(app: &'static str) {
    let _ = APP.set(app);
    let level =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    let log = tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_writer(io::stderr);
    // When the launcher is killed, nobody reads the standard error any more. Complaining about that there would panic.
    let _ = log.log_internal_errors(false).try_init();
    if launched() {
        std::thread::spawn(end_with_the_launcher);
    }
}

/// The app serves and listens: the day may begin.
pub fn ready() {
    write(What::Ready);
}

/// For a listener: the event was received, and this was done about it. What the listener does after it is told as following
/// from it.
pub fn heard(says: impl Into<String>) {
    let event = Context::current().map_or_else(String::new, |event| {
        format!("{}.{}", event.api(), event.name())
    });
    write(What::Hears {
        event,
        says: says.into(),
    });
}

/// Adds a word for the journal to a call or a publish, which otherwise stays what it is.
pub trait Journal<T, E>: IntoFuture<Output = Result<T, E>> + Sized {
    /// For a call: writes the question before, the answer and the time it took after.
    fn asking(self, question: impl Into<String>) -> impl Future<Output = Result<T, E>>
    where
        T: Display,
        E: Display,
    {
        asking_as(APP.get().unwrap_or(&"?"), question, self, write_entry)
    }

    /// For an event: writes its name before it is published.
    fn announcing(self, event: impl Into<String>) -> Self::IntoFuture {
        write(What::Announces {
            event: event.into(),
        });
        self.into_future()
    }
}

impl<T, E, F: IntoFuture<Output = Result<T, E>>> Journal<T, E> for F {}

/// Makes a call and writes both its ends, in this name, to this journal.
pub async fn asking_as<T: Display, E: Display>(
    who: &str,
    question: impl Into<String>,
    call: impl IntoFuture<Output = Result<T, E>>,
    write: impl Fn(&Entry),
) -> Result<T, E> {
    let number = CALLS.fetch_add(1, Ordering::Relaxed);
    write(&Entry::now(
        who,
        What::Asks {
            call: number,
            question: question.into(),
        },
    ));
    let started = Instant::now();
    let answer = call.await;
    let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let words = answer.as_ref().map(T::to_string).map_err(E::to_string);
    write(&Entry::now(
        who,
        What::Answered {
            call: number,
            answer: words,
            took,
        },
    ));
    answer
}

impl Entry {
    /// It happens now, while this task handles the message it handles.
    pub fn now(who: &str, what: What) -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let at = u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX);
        let cause = Context::current().map(|context| context.message_id().to_string());
        Self {
            who: who.to_owned(),
            at,
            cause,
            what,
        }
    }

    /// Writes the entry as one line, in one piece: lines of several processes do not mix.
    pub fn write_to(&self, journal: &mut impl Write) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        journal.write_all(&line)
    }
}

/// As the person who started an app alone reads it.
impl Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.who)?;
        match &self.what {
            What::Ready => write!(f, "is ready; Ctrl-C ends it"),
            What::Asks { question, .. } => write!(f, "asks {question}"),
            What::Answered {
                answer: Ok(answer), ..
            } => write!(f, "is told: {answer}"),
            What::Answered {
                answer: Err(error), ..
            } => write!(f, "is told: {error}"),
            What::Announces { event } => write!(f, "announces {event}"),
            What::Hears { event, says } => write!(f, "hears {event}: {says}"),
        }
    }
}

fn launched() -> bool {
    std::env::var_os(LAUNCHED).is_some()
}

fn write(what: What) {
    write_entry(&Entry::now(APP.get().unwrap_or(&"?"), what));
}

/// A journal nobody reads any more is no reason to stop working: errors are ignored. Nor is one that nobody has opened, as in the tests of an app.
fn write_entry(entry: &Entry) {
    if APP.get().is_none() {
        return;
    }
    let mut stdout = io::stdout().lock();
    let _ = if launched() {
        entry.write_to(&mut stdout)
    } else {
        writeln!(stdout, "{entry}")
    };
}

/// The launcher holds the other end of the standard input and never writes to it. It closes it when the day is over;
/// the kernel closes it when the launcher dies, however it dies. So no app is left behind.
fn end_with_the_launcher() {
    let _ = io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink());
    // From here on as if somebody had run `kill`: `Bus::run_until_shutdown` sees to the rest.
    #[cfg(unix)]
    if nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).is_ok() {
        std::thread::sleep(PATIENCE);
    }
    std::process::exit(1);
}
