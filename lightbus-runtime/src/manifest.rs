//! What a bus knows of itself: of which APIs it has clients, which it serves, of which it publishes events, what it listens to.
//!
//! Written down where those are made, and never on the way of a message.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::bus::Core;
use crate::error::Error;
use crate::event::Event;
use crate::topology::Interest;

/// A call's, task's or event's wire name, and which of its arguments are secret.
pub type Item = (&'static str, &'static [&'static str]);

/// What the macro knows of an API.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiOutline {
    /// Its name.
    pub name: &'static str,
    /// What callers wait for.
    pub calls: &'static [Item],
    /// What is done in the background.
    pub tasks: &'static [Item],
    /// What its provider tells.
    pub events: &'static [Item],
    /// Calls of which the answer is secret.
    pub secret_answers: &'static [&'static str],
}

impl ApiOutline {
    fn has_secrets(&self) -> bool {
        let all = [self.calls, self.tasks, self.events];
        let mut items = all.into_iter().flatten();
        !self.secret_answers.is_empty() || items.any(|(_, secrets)| !secrets.is_empty())
    }
}

/// What a bus has and does at the moment.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The app's name.
    pub app: String,
    /// APIs of which it has, or had, a client.
    pub clients: Vec<&'static ApiOutline>,
    /// APIs of which it has, or had, a publisher.
    pub publishers: Vec<&'static ApiOutline>,
    /// APIs that it serves.
    pub served: Vec<Served>,
    /// Its listeners, by name.
    pub listeners: Vec<(String, Heard)>,
    /// Its schedules: the name, and the task's API and name.
    pub schedules: Vec<(String, &'static str, &'static str)>,
}

/// An API that is served.
#[derive(Clone, Debug)]
pub struct Served {
    /// The API.
    pub outline: &'static ApiOutline,
    /// Are its calls answered?
    pub calls: bool,
    /// The tasks that are worked on.
    pub tasks: Vec<&'static str>,
    pub(crate) stop: CancellationToken,
}

/// What a listener hears.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The API's name.
    pub api: &'static str,
    /// The events.
    pub events: &'static [&'static str],
    /// For each key, the words that are asked for; none: all.
    pub keys: Vec<Vec<String>>,
}

/// Where it is written down.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    clients: Vec<&'static ApiOutline>,
    publishers: Vec<&'static ApiOutline>,
    served: Vec<Served>,
    listeners: BTreeMap<String, Heard>,
}

/// The APIs with secrets that any bus of this process knows: whoever writes down what he sees should leave them out, whichever bus they come by.
static WITH_SECRETS: Mutex<Vec<&'static ApiOutline>> = Mutex::new(Vec::new());

/// Stands where people look, in place of what is secret.
pub const SECRET: &str = "[secret]";

/// Takes the secrets out of the content of a call, task or event, as far as this process knows of them.
pub fn redact(content: &mut Value, api: &str, name: &str) {
    for secret in secrets(api, name) {
        if let Some(value) = content.get_mut(secret) {
            *value = Value::from(SECRET);
        }
    }
}

/// Is this argument of a call, task or event secret, as far as this process knows?
pub(crate) fn is_secret(api: &str, name: &str, argument: &str) -> bool {
    secrets(api, name).contains(&argument)
}

/// The arguments of a call, task or event that are secret, as far as this process knows.
pub fn secrets(api: &str, name: &str) -> Vec<&'static str> {
    let all = lock(&WITH_SECRETS);
    let of_api = all.iter().filter(|outline| outline.name == api);
    let items = of_api.flat_map(|it| [it.calls, it.tasks, it.events].concat());
    let secrets = items.filter(|(item, _)| *item == name);
    secrets.flat_map(|(_, secrets)| secrets).copied().collect()
}

/// Is the answer of a call to be left out, as far as this process knows?
pub fn is_answer_secret(api: &str, call: &str) -> bool {
    let all = lock(&WITH_SECRETS);
    let mut of_api = all.iter().filter(|outline| outline.name == api);
    of_api.any(|outline| outline.secret_answers.contains(&call))
}

impl Known {
    pub(crate) fn client(&self, of: &'static ApiOutline) {
        note(&mut lock(&self.0).clients, of);
    }

    pub(crate) fn publisher(&self, of: &'static ApiOutline) {
        note(&mut lock(&self.0).publishers, of);
    }

    /// Until `stop` of it is cancelled.
    pub(crate) fn serves(&self, served: Served) {
        share(served.outline);
        let mut notes = lock(&self.0);
        notes.served.retain(|served| !served.stop.is_cancelled());
        notes.served.push(served);
    }

    fn read(&self, core: &Core) -> Manifest {
        let notes = lock(&self.0);
        let is_on = |served: &&Served| !served.stop.is_cancelled();
        let listeners = notes.listeners.iter();
        Manifest {
            app: core.config.app.clone(),
            clients: notes.clients.clone(),
            publishers: notes.publishers.clone(),
            served: notes.served.iter().filter(is_on).cloned().collect(),
            listeners: listeners
                .map(|(name, heard)| (name.clone(), heard.clone()))
                .collect(),
            schedules: core.schedules.tasks(),
        }
    }
}

/// Clients may be made for each request: what is known costs a look.
fn note(known: &mut Vec<&'static ApiOutline>, new: &'static ApiOutline) {
    if !known.iter().any(|it| std::ptr::eq(*it, new)) {
        known.push(new);
        share(new);
    }
}

/// An event may be sent without a publisher of its API.
pub(crate) fn share_secrets_of<E: Event>() {
    if let Some(outline) = E::OUTLINE {
        share(outline);
    }
}

fn share(outline: &'static ApiOutline) {
    if outline.has_secrets() {
        let mut all = lock(&WITH_SECRETS);
        if !all.contains(&outline) {
            all.push(outline);
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// What this bus knows of itself.
    pub(crate) fn manifest(&self) -> Manifest {
        self.known.read(self)
    }

    /// Takes a listener's name, which is also its queue's: two listeners on one queue would each get half of both's events.
    pub(crate) fn take_listener(
        self: &Arc<Self>,
        name: &str,
        interest: &Interest,
    ) -> Result<ListenerName, Error> {
        let mut notes = lock(&self.known.0);
        if notes.listeners.contains_key(name) {
            return Err(Error::Config(format!(
                "this process listens as `{name}` already: give each listener of an app a name of its own, \
                 or raise the first one's `concurrency`"
            )));
        }
        let heard = Heard {
            api: interest.api,
            events: interest.events,
            keys: interest.keys.clone(),
        };
        notes.listeners.insert(name.to_owned(), heard);
        drop(notes);
        Ok(ListenerName {
            core: Arc::clone(self),
            name: name.to_owned(),
        })
    }
}

/// A listener's name, free again when this is dropped.
pub(crate) struct ListenerName {
    core: Arc<Core>,
    name: String,
}

impl Drop for ListenerName {
    fn drop(&mut self) {
        lock(&self.core.known.0).listeners.remove(&self.name);
    }
}
