//! Which message is wanted, and what is to become of it.

use lightbus_runtime::__testing::{Kind, Outline, Queue};
use serde_json::Value;

use super::compare::{differences, differences_of_fields, short};
use super::seen::{Answer, Fate, Seen, sent, word};
use super::story::often;

pub(super) struct Wanted {
    pub(super) kind: Kind,
    pub(super) api: String,
    pub(super) name: String,
    pub(super) content: Content,
    pub(super) by: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) became: Vec<Became>,
}

pub(super) enum Content {
    Exactly(Value),
    /// These fields, whatever else there is.
    Fields(Value),
    /// Is it such a one? Or why nobody can say.
    Such(Box<IsSuch>),
}

pub(super) type IsSuch = dyn Fn(&Seen) -> Result<bool, String> + Send + Sync;

/// What is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Became {
    HandledBy(String),
    /// An app, and its listener.
    HeardBy(String, String),
    Dead,
    DeadBecause(String),
    Retried(u32),
    Returned(Value),
    Failed(Value),
}

impl Wanted {
    pub(super) fn new(kind: Kind, api: &str, name: &str, content: Content) -> Self {
        Self {
            kind,
            api: api.to_owned(),
            name: name.to_owned(),
            content,
            by: None,
            headers: Vec::new(),
            became: Vec::new(),
        }
    }

    pub(super) fn exactly(outline: Outline) -> Self {
        let content = Content::Exactly(outline.content);
        Self::new(outline.kind, outline.api, outline.name, content)
    }

    pub(super) fn is_named(&self, seen: &Seen) -> bool {
        (seen.kind, &seen.api, &seen.name) == (self.kind, &self.api, &self.name)
    }

    /// Is it what was sent, whoever sent it, and whatever became of it?
    pub(super) fn is_it(&self, seen: &Seen) -> bool {
        self.is_named(seen)
            && match (&self.content, &seen.content) {
                (Content::Such(is_such), _) => is_such(seen).unwrap_or(false),
                (_, Err(_)) => false,
                (Content::Exactly(wanted), Ok(found)) => wanted == found,
                (Content::Fields(fields), Ok(found)) => {
                    differences_of_fields(fields, found).is_empty()
                }
            }
    }

    /// Why nobody can say whether a message of the name is such a one.
    pub(super) fn unknown(&self, seen: &Seen) -> Option<String> {
        match &self.content {
            Content::Such(is_such) if self.is_named(seen) && self.is_from(seen) => {
                is_such(seen).err()
            }
            _ => None,
        }
    }

    /// The apps that it names.
    pub(super) fn apps(&self) -> impl Iterator<Item = &str> {
        let became = self.became.iter().filter_map(|became| match became {
            Became::HandledBy(app) | Became::HeardBy(app, _) => Some(app.as_str()),
            _ => None,
        });
        self.by.as_deref().into_iter().chain(became)
    }

    pub(super) fn is_from(&self, seen: &Seen) -> bool {
        self.by.as_ref().is_none_or(|by| *by == seen.by)
    }

    pub(super) fn has_headers(&self, seen: &Seen) -> bool {
        let mut headers = self.headers.iter();
        headers.all(|(name, value)| seen.headers.get(name).is_some_and(|found| found == value))
    }

    pub(super) fn matches(&self, seen: &Seen) -> bool {
        let is_sent = self.is_it(seen) && self.is_from(seen) && self.has_headers(seen);
        is_sent && self.became.iter().all(|became| became.is_true_of(seen))
    }

    /// In how many places a message of the name is another one.
    pub(super) fn distance(&self, seen: &Seen) -> usize {
        match (&self.content, &seen.content) {
            (Content::Exactly(wanted), Ok(found)) => differences(wanted, found).len(),
            (Content::Fields(fields), Ok(found)) => differences_of_fields(fields, found).len(),
            _ => usize::MAX,
        }
    }

    pub(super) fn subject(&self) -> String {
        format!("{} {}.{}", word(self.kind), self.api, self.name)
    }

    /// `published once by shop with the header x: y, and handled by mailer`
    pub(super) fn told(&self, often: &str) -> String {
        let mut text = format!("{}{often}", sent(self.kind));
        if let Some(by) = &self.by {
            text += &format!(" by {by}");
        }
        for (name, value) in &self.headers {
            text += &format!(" with the header {name}: {value}");
        }
        let became: Vec<_> = self.became.iter().map(Became::told).collect();
        if !became.is_empty() {
            text += &format!(", and {}", became.join(", and "));
        }
        text
    }
}

impl Became {
    pub(super) fn is_true_of(&self, seen: &Seen) -> bool {
        let mut fates = seen.fates();
        match self {
            Self::HandledBy(app) => fates.any(|fate| match fate {
                Fate::Handled { by, .. } => by == app,
                Fate::Answered { by, answer, .. } => {
                    by == app && !matches!(answer, Answer::Refused(_) | Answer::GivenBack)
                }
                _ => false,
            }),
            Self::HeardBy(app, listener) => fates.any(|fate| match fate {
                Fate::Handled { queue, .. } => {
                    Queue::listener_of(queue) == Some((app.as_str(), listener.as_str()))
                }
                _ => false,
            }),
            Self::Dead => seen.deaths().next().is_some(),
            Self::DeadBecause(why) => seen.deaths().any(|death| death.why().contains(why)),
            Self::Retried(times) => seen.retries() == *times,
            Self::Returned(wanted) => fates.any(
                |fate| matches!(fate, Fate::Answered { answer: Answer::Value(value), .. } if value == wanted),
            ),
            Self::Failed(wanted) => fates.any(
                |fate| matches!(fate, Fate::Answered { answer: Answer::Error(error), .. } if error == wanted),
            ),
        }
    }

    pub(super) fn told(&self) -> String {
        match self {
            Self::HandledBy(app) => format!("handled by {app}"),
            Self::HeardBy(app, listener) => format!("handled by the listener {listener} of {app}"),
            Self::Dead => "dead in the end".to_owned(),
            Self::DeadBecause(why) => format!("dead because of {why:?}"),
            Self::Retried(0) => "never retried".to_owned(),
            Self::Retried(times) => format!("retried {}", often(*times as usize)),
            Self::Returned(value) => format!("answered with {}", short(value)),
            Self::Failed(error) => format!("answered with the error {}", short(error)),
        }
    }
}
