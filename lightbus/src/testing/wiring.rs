//! Do the apps fit together? Who publishes what nobody hears, listens to what nobody publishes, calls what nobody serves.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use lightbus_runtime::__testing::{ApiOutline, Heard, Manifest, manifest};
use lightbus_runtime::Bus;

/// Fails the test if anything between these apps, set up and running, leads nowhere: short for [`Wiring::of(..)`](Wiring) and [`assert`](Wiring::assert).
///
/// ```
/// use lightbus::testing::{TestBus, assert_wired};
/// # #[lightbus::api(name = "sales")]
/// # pub trait SalesApi {
/// #     async fn price(&self, part: String) -> u64;
/// #     #[event]
/// #     fn sold(part: String);
/// # }
/// # struct Sales;
/// # impl SalesApi for Sales { async fn price(&self, _: String) -> u64 { 4 } }
/// # async fn sales_app(bus: &lightbus::Bus) -> Result<(), lightbus::Error> {
/// #     bus.serve(SalesApiServer::new(Sales)).await.map(drop)
/// # }
/// # async fn support_app(bus: &lightbus::Bus) -> Result<(), lightbus::Error> {
/// #     SalesApiClient::new(bus).sold().listen("remember", |_: Sold| async {}).await.map(drop)
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = TestBus::start().await?;
/// let (sales, support) = (bus.app("sales").await?, bus.app("support").await?);
/// sales_app(&sales).await?;
/// support_app(&support).await?;
/// assert_wired(&[&sales, &support]);
/// # Ok(()) }
/// ```
///
/// # Panics
/// When there is a loose end, with all of them.
#[track_caller]
pub fn assert_wired(apps: &[&Bus]) {
    Wiring::of(apps).assert();
}

/// What ties apps together, as each of them knows it of itself: the APIs that it serves or has clients or publishers of, its listeners and its schedules.
///
/// - Events are published by whoever has the API's publisher (`AuthApiEvents::new`) or serves the API. Those that only an `Outbox` publishes are not known.
/// - An app counts as a caller of an API if it has a client of it (`AuthApiClient::new`), and nothing else to do with that API: one that listens to it, serves it, or schedules its tasks may have its client for that.
/// - What a test's [stubs](super::TestBus::stub) answer is served by no app: make an exception.
#[derive(Clone, Debug)]
#[must_use = "nothing is said before `.assert()` or `.loose()`"]
pub struct Wiring {
    apps: Vec<Manifest>,
    exceptions: BTreeSet<String>,
}

/// A loose end. `Display` says what it is, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loose {
    /// Events that nobody hears.
    Unheard {
        /// The API's name.
        api: String,
        /// The events.
        events: Vec<String>,
        /// The apps that publish them.
        by: Vec<String>,
    },
    /// A listener that nobody feeds.
    Unfed {
        /// The app that listens.
        app: String,
        /// Its listener.
        listener: String,
        /// The API's name.
        api: String,
        /// The events that nobody publishes.
        events: Vec<String>,
        /// The apps that publish others of that API.
        others_by: Vec<String>,
        /// For each key, in order, the words that the listener asks for.
        keys: Vec<Vec<String>>,
    },
    /// Calls and tasks that nobody serves.
    Unserved {
        /// The API's name.
        api: String,
        /// The calls.
        calls: Vec<String>,
        /// The tasks.
        tasks: Vec<String>,
        /// The apps that have a client of it.
        by: Vec<String>,
    },
    /// An app that has neither a client nor anything else of any API.
    Idle {
        /// The app.
        app: String,
    },
    /// A schedule of a task that nobody works on.
    Unworked {
        /// The app that has the schedule.
        app: String,
        /// Its schedule.
        schedule: String,
        /// The API's name.
        api: String,
        /// The task.
        task: String,
    },
    /// Two apps that provide one API, each another version of it.
    Versions {
        /// The API's name.
        api: String,
        /// One of them.
        one: String,
        /// The other one.
        other: String,
        /// What only one of them has, or what is secret to only one of them.
        differing: Vec<String>,
    },
}

impl Wiring {
    /// Of these apps, as they are now: set them up before.
    pub fn of(apps: &[&Bus]) -> Self {
        Self {
            apps: apps.iter().map(|bus| manifest(bus)).collect(),
            exceptions: BTreeSet::new(),
        }
    }

    /// Says nothing of this event, call or task, `"auth.user_left"`, of this API, `"auth"`, or, if it has set up nothing, of this app.
    pub fn except(mut self, name: &str) -> Self {
        self.exceptions.insert(name.to_owned());
        self
    }

    /// Fails the test if there is a loose end.
    ///
    /// # Panics
    /// With all loose ends.
    #[track_caller]
    pub fn assert(&self) {
        let loose = self.loose();
        let Some(first) = loose.first() else {
            return;
        };
        let mut text = match loose.len() {
            1 => "there is a loose end between the apps:\n".to_owned(),
            many => format!("there are {many} loose ends between the apps:\n"),
        };
        for end in &loose {
            // A String as writer cannot fail.
            let _ = writeln!(text, "  - {end}");
        }
        let name = first.names().into_iter().next().unwrap_or_default();
        let _ = write!(
            text,
            "  What is meant to be so is an exception: `Wiring::of(&[…]).except(\"{name}\").assert()`"
        );
        panic!("{text}");
    }

    /// All loose ends.
    pub fn loose(&self) -> Vec<Loose> {
        let mut all = self.idle();
        for api in self.apis() {
            all.extend(self.unheard(api));
        }
        for app in &self.apps {
            let listeners = app.listeners.iter();
            all.extend(listeners.filter_map(|(name, heard)| self.unfed(&app.app, name, heard)));
        }
        for api in self.apis() {
            all.extend(self.unserved(api));
        }
        all.extend(self.unworked());
        for api in self.apis() {
            all.extend(self.versions(api));
        }
        all
    }

    fn idle(&self) -> Vec<Loose> {
        let is_idle = |app: &&Manifest| {
            let has_api = !app.clients.is_empty() || !app.publishers.is_empty();
            !has_api && app.served.is_empty() && !self.exceptions.contains(&app.app)
        };
        let idle = self.apps.iter().filter(is_idle);
        idle.map(|app| Loose::Idle {
            app: app.app.clone(),
        })
        .collect()
    }

    /// Every API that somebody knows.
    fn apis(&self) -> BTreeSet<&'static str> {
        let all = self.apps.iter().flat_map(|app| {
            let served = app.served.iter().map(|served| served.outline);
            let known = app.clients.iter().chain(&app.publishers).copied();
            known.chain(served).map(|outline| outline.name)
        });
        all.collect()
    }

    fn is_meant(&self, api: &str, name: &str) -> bool {
        self.exceptions.contains(api) || self.exceptions.contains(&format!("{api}.{name}"))
    }

    /// Who provides the API, and which version of it: those that have its publisher, or else serve it.
    fn publishers(&self, api: &str) -> Vec<(&Manifest, &'static ApiOutline)> {
        let of = |app| provided(app, api).map(move |outline| (app, outline));
        self.apps.iter().flat_map(of).collect()
    }

    fn unheard(&self, api: &str) -> Option<Loose> {
        let publishers = self.publishers(api);
        let is_heard = |event: &str| {
            let mut listeners = self.apps.iter().flat_map(|app| &app.listeners);
            listeners.any(|(_, heard)| heard.api == api && heard.events.contains(&event))
        };
        let all = publishers.iter().flat_map(|(_, outline)| outline.events);
        let names: BTreeSet<_> = all.map(|(event, _)| *event).collect();
        let unheard = |event: &&str| !is_heard(event) && !self.is_meant(api, event);
        let events: Vec<_> = names.into_iter().filter(unheard).collect();
        (!events.is_empty()).then(|| Loose::Unheard {
            api: api.to_owned(),
            events: owned(&events),
            by: apps_of(publishers.iter().map(|(app, _)| *app)),
        })
    }

    fn unfed(&self, app: &str, listener: &str, heard: &Heard) -> Option<Loose> {
        let publishers = self.publishers(heard.api);
        let is_published = |event: &str| {
            let mut all = publishers.iter().flat_map(|(_, outline)| outline.events);
            all.any(|(name, _)| *name == event)
        };
        let unfed = |event: &&&str| !is_published(event) && !self.is_meant(heard.api, event);
        let events: Vec<_> = heard.events.iter().filter(unfed).copied().collect();
        (!events.is_empty()).then(|| Loose::Unfed {
            app: app.to_owned(),
            listener: listener.to_owned(),
            api: heard.api.to_owned(),
            events: owned(&events),
            others_by: apps_of(publishers.iter().map(|(app, _)| *app)),
            keys: heard.keys.clone(),
        })
    }

    fn unserved(&self, api: &str) -> Option<Loose> {
        let callers = self.apps.iter().filter(|app| is_caller(app, api));
        let callers: Vec<_> = callers.collect();
        let known = callers.iter().flat_map(|app| &app.clients);
        let known: Vec<_> = known.filter(|outline| outline.name == api).collect();
        let missing = |of: fn(&ApiOutline) -> Names, is_served: &dyn Fn(&str) -> bool| {
            let all = known.iter().flat_map(|outline| of(outline));
            let names: BTreeSet<_> = all.map(|(name, _)| *name).collect();
            let left = names.into_iter();
            let left = left.filter(|name| !is_served(name) && !self.is_meant(api, name));
            left.map(str::to_owned).collect::<Vec<_>>()
        };
        let calls = missing(|outline| outline.calls, &|call| self.is_answered(api, call));
        let tasks = missing(|outline| outline.tasks, &|task| {
            self.is_worked_on(api, task)
        });
        (!calls.is_empty() || !tasks.is_empty()).then(|| Loose::Unserved {
            api: api.to_owned(),
            calls,
            tasks,
            by: apps_of(callers.iter().copied()),
        })
    }

    fn is_answered(&self, api: &str, call: &str) -> bool {
        let mut all = self.apps.iter().flat_map(|app| &app.served);
        all.any(|served| {
            let outline = served.outline;
            served.calls && outline.name == api && has(outline.calls, call)
        })
    }

    fn is_worked_on(&self, api: &str, task: &str) -> bool {
        let mut all = self.apps.iter().flat_map(|app| &app.served);
        all.any(|served| served.outline.name == api && served.tasks.contains(&task))
    }

    fn unworked(&self) -> Vec<Loose> {
        let of = |app: &Manifest| {
            let name = app.app.clone();
            let schedules = app.schedules.iter();
            let loose = schedules
                .filter(|(_, api, task)| !self.is_worked_on(api, task) && !self.is_meant(api, task))
                .map(|(schedule, api, task)| Loose::Unworked {
                    app: name.clone(),
                    schedule: schedule.clone(),
                    api: (*api).to_owned(),
                    task: (*task).to_owned(),
                });
            loose.collect::<Vec<_>>()
        };
        self.apps.iter().flat_map(of).collect()
    }

    fn versions(&self, api: &str) -> Vec<Loose> {
        let providers = self.publishers(api);
        let Some((first, outline)) = providers.first() else {
            return Vec::new();
        };
        let others = providers.iter().filter(|(_, other)| other != outline);
        let loose = others.filter_map(|(app, other)| {
            let mut differing = differing(outline, other);
            differing.retain(|name| !self.is_meant(api, name));
            (!differing.is_empty()).then(|| Loose::Versions {
                api: api.to_owned(),
                one: first.app.clone(),
                other: app.app.clone(),
                differing,
            })
        });
        loose.collect()
    }
}

type Names = &'static [(&'static str, &'static [&'static str])];

fn has(names: Names, name: &str) -> bool {
    names.iter().any(|(it, _)| *it == name)
}

/// The API as this app provides it, if it does.
fn provided<'a>(app: &'a Manifest, api: &'a str) -> impl Iterator<Item = &'static ApiOutline> + 'a {
    let served = app.served.iter().map(|served| served.outline);
    let all = app.publishers.iter().copied().chain(served);
    all.filter(move |outline| outline.name == api)
}

/// Has it a client that can be for nothing but calls?
fn is_caller(app: &Manifest, api: &str) -> bool {
    let has_client = app.clients.iter().any(|outline| outline.name == api);
    let listens = app.listeners.iter().any(|(_, heard)| heard.api == api);
    let schedules = app.schedules.iter().any(|(_, of, _)| *of == api);
    has_client && !listens && !schedules && provided(app, api).next().is_none()
}

/// The names that are in one of them alone, or not the same in both.
fn differing(one: &ApiOutline, other: &ApiOutline) -> Vec<String> {
    let kinds = [
        (one.calls, other.calls),
        (one.tasks, other.tasks),
        (one.events, other.events),
    ];
    let of = |(one, other): (Names, Names)| {
        let only = |of: Names, not_in: Names| {
            let left = of.iter().filter(move |item| !not_in.contains(item));
            left.map(|(name, _)| (*name).to_owned())
        };
        only(one, other).chain(only(other, one)).collect::<Vec<_>>()
    };
    let answers = [one.secret_answers, other.secret_answers].concat();
    let is_in_one =
        |call: &&str| one.secret_answers.contains(call) != other.secret_answers.contains(call);
    let answers = answers.into_iter().filter(is_in_one).map(str::to_owned);
    let all: BTreeSet<_> = kinds.into_iter().flat_map(of).chain(answers).collect();
    all.into_iter().collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Their names, each once.
fn apps_of<'a>(apps: impl Iterator<Item = &'a Manifest>) -> Vec<String> {
    let names: BTreeSet<_> = apps.map(|app| app.app.clone()).collect();
    names.into_iter().collect()
}

impl Loose {
    /// What an exception may name.
    fn names(&self) -> Vec<String> {
        let of = |api: &str, names: &[String]| {
            let full = names.iter().map(|name| format!("{api}.{name}"));
            full.collect::<Vec<_>>()
        };
        match self {
            Self::Unheard { api, events, .. } | Self::Unfed { api, events, .. } => of(api, events),
            Self::Unserved {
                api, calls, tasks, ..
            } => [of(api, calls), of(api, tasks)].concat(),
            Self::Idle { app } => vec![app.clone()],
            Self::Unworked { api, task, .. } => vec![format!("{api}.{task}")],
            Self::Versions { api, differing, .. } => of(api, differing),
        }
    }
}

impl fmt::Display for Loose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names().join(", ");
        match self {
            Self::Unheard { by, .. } => write!(
                f,
                "nobody listens to {names}, of which {} may publish: have an app listen, or take out of the API what nobody needs",
                by.join(", ")
            ),
            Self::Unfed {
                app,
                listener,
                others_by,
                api,
                keys,
                ..
            } => {
                let only = only(keys);
                write!(
                    f,
                    "the listener `{listener}` of {app} waits for {names}{only}, and "
                )?;
                match others_by.is_empty() {
                    true => write!(
                        f,
                        "no app publishes events of `{api}`: set up the one that does"
                    ),
                    false => write!(
                        f,
                        "{} does not have it in its version of `{api}`: bring both to the same version",
                        others_by.join(", ")
                    ),
                }
            }
            Self::Unserved { by, .. } => write!(
                f,
                "nobody serves {names}, and {} has a client of it: set up the app that serves it, or take out the client",
                by.join(", ")
            ),
            Self::Idle { app } => write!(
                f,
                "{app} has set up nothing, no client, server or listener: start the program on its bus before it is looked at"
            ),
            Self::Unworked { app, schedule, .. } => write!(
                f,
                "the schedule `{schedule}` of {app} fires {names}, and nobody works on that: have an app serve it, with its tasks and this one's queue among them"
            ),
            Self::Versions {
                api, one, other, ..
            } => write!(
                f,
                "{one} and {other} provide two versions of `{api}`, which differ in {names}: bring both to the same version"
            ),
        }
    }
}

fn only(keys: &[Vec<String>]) -> String {
    let words: Vec<_> = keys.iter().flatten().map(String::as_str).collect();
    match words.is_empty() {
        true => String::new(),
        false => format!(" (only of {})", words.join(", ")),
    }
}
