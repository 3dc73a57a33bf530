//! Recordings: what was sent over a bus, as text to keep, to look at, and to send once more.

mod bus;
mod line;
mod replay;
mod take;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use lightbus_runtime::__testing::{Kind, Raw, SECRET, TaskPlace};
use serde_json::Value;

pub use replay::{Replay, ReplayError, Replayed};

/// What was sent over a bus: events, calls with their answers, and tasks, in their order; made by [`TestBus::recording`](super::TestBus::recording) and [`TestBus::record`](super::TestBus::record).
///
/// As a file it is JSON lines, for people to read and to compare: first the format and its version, then a line for each message, with who sent it, how many milliseconds after the
/// first one, its content as JSON, its keys, priority and delay, and the headers that its sender added. Ids and host names are not in it.
///
/// ```text
/// {"format":"lightbus-recording","version":1}
/// {"at_ms":0,"by":"web","call":"auth.check_password","content":{"password":"[secret]","username":"ada"},"answered_by":"auth-app","answer":true}
/// {"at_ms":3,"by":"auth-app","event":"auth.user_left","content":{"username":"ada"},"keys":["ada"]}
/// {"at_ms":9,"by":"web","task":"auth.resize_avatar","content":{"user_id":7},"queue":"slow","priority":"high","delay_s":60}
/// ```
///
/// # Secrets
/// In the place of an argument that its API marks `#[lightbus(secret)]` is the text `"[secret]"`. Which are marked is known from the APIs of which any bus of this process has had a client, a publisher or a server; so of
/// an app in another process only if some bus here has one of its API, too. So it is with the answer, value or error, of a call that is marked.
///
/// ```
/// # use lightbus::testing::{Recording, TestBus};
/// # #[lightbus::api(name = "vault")]
/// # pub trait VaultApi {
/// #     #[event]
/// #     fn opened(by: String, #[lightbus(secret)] code: String);
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = TestBus::start().await?;
/// let vault = VaultApiEvents::new(&bus);
/// vault.opened().publish(Opened { by: "ada".into(), code: "1234".into() }).await?;
///
/// let text = bus.recording().to_string();
/// assert!(text.contains(r#""content":{"by":"ada","code":"[secret]"}"#));
///
/// let once_more = TestBus::start().await?;
/// let recording = Recording::parse(&text)?;
/// recording.only("vault").by("test").replay(&once_more).await?;
/// assert_eq!(once_more.recording().len(), 1);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    messages: Vec<Recorded>,
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Recorded {
    /// Since the first one.
    at: Duration,
    /// The app that sent it.
    by: String,
    pub(super) kind: Kind,
    pub(super) api: String,
    pub(super) name: String,
    /// Or why there is none.
    pub(super) content: Result<Value, String>,
    /// Of an event.
    keys: Vec<String>,
    /// Of a task.
    place: Option<TaskPlace>,
    headers: Vec<(String, String)>,
    /// Of a call.
    pub(super) answer: Option<Answer>,
}

/// What came of a call. A value or an error that is [`SECRET`] is not known.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Value { by: String, value: Value },
    Error { by: String, error: Value },
    Failed(String),
}

impl Answer {
    pub(super) fn is_secret(&self) -> bool {
        match self {
            Self::Value { value: it, .. } | Self::Error { error: it, .. } => it == SECRET,
            Self::Failed(_) => false,
        }
    }
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or is no recording: which line, and what is wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let of_file = |why: String| RecordingError(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| of_file(error.to_string()))?;
        Self::parse(&text).map_err(|error| of_file(error.0))
    }

    /// Reads the text of one.
    ///
    /// # Errors
    /// When it is no recording: which line, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RecordingError> {
        let messages = line::parse(text).map_err(RecordingError)?;
        Ok(Self { messages })
    }

    /// Writes a file, in place of what was in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RecordingError> {
        let path = path.as_ref();
        std::fs::write(path, self.to_string())
            .map_err(|error| RecordingError(format!("{}: {error}", path.display())))
    }

    /// Leaves out what is not of this API.
    pub fn only(mut self, api: &str) -> Self {
        self.messages.retain(|message| message.api == api);
        self
    }

    /// Leaves out what this app did not send.
    pub fn by(mut self, app: &str) -> Self {
        self.messages.retain(|message| message.by == app);
        self
    }

    /// How many messages are in it; an answer is part of its call.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Sends it once more when it is awaited, over any bus: a test's, or that of a broker to develop on. See [`Replay`].
    pub fn replay(&self, bus: &lightbus_runtime::Bus) -> Replay {
        Replay::new(self.messages.clone(), bus)
    }

    pub(super) fn messages(&self) -> &[Recorded] {
        &self.messages
    }
}

/// As it is in a file.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", line::first())?;
        for message in &self.messages {
            writeln!(f, "{}", line::of(message))?;
        }
        Ok(())
    }
}

impl Recorded {
    /// API and name.
    fn subject(&self) -> String {
        format!("{}.{}", self.api, self.name)
    }

    /// What of its content is not known, because it was secret.
    fn secrets(&self) -> Vec<&str> {
        let fields = self.content.as_ref().ok().and_then(Value::as_object);
        let fields = fields.into_iter().flatten();
        let secret = fields.filter(|(_, value)| *value == SECRET);
        secret.map(|(name, _)| name.as_str()).collect()
    }

    /// As it can be sent.
    fn raw(&self) -> Result<Raw, String> {
        let content = self.content.clone()?;
        let mut raw = match self.kind {
            Kind::Event => Raw::event(&self.api, &self.name, content),
            Kind::Call => Raw::call(&self.api, &self.name, content),
            Kind::Task => Raw::task(&self.api, &self.name, content),
        };
        for key in &self.keys {
            raw = raw.key(key);
        }
        for (name, value) in &self.headers {
            raw = raw.header(name, value);
        }
        let Some(place) = &self.place else {
            return Ok(raw);
        };
        raw = raw.priority(place.priority);
        raw = raw.after(Duration::from_secs(place.delay));
        if let Some(queue) = &place.queue {
            raw = raw.queue(queue);
        }
        Ok(if place.limited { raw.limited() } else { raw })
    }
}

/// Why a recording cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingError(String);

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RecordingError {}
