//! Stubs: answers to calls whose provider is not part of a test.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lightbus_runtime::__private::{HandlerFuture, Reply, reply, reply_plain, run};
use lightbus_runtime::__testing::{
    Answering, Clock, Kind, Outline, SECRET, Stubs as Provider, manifest, refusal,
};
use lightbus_runtime::{Bus, Error};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::compare::shown;
use super::seen::{Fate, Seen};
use super::test_bus::TestBus;

/// How calls of a method are answered; made by [`TestBus::stub`]. Of several that fit a call, the first one that is not used up answers.
///
/// A call that fits none fails the test, by name: of a method that is stubbed for other arguments, and of any method of an API of which another one is stubbed. Before the first stub of an API, its app is away.
/// An app that serves the API itself is either started or stubbed: both at once fail the test.
///
/// ```
/// # use lightbus::testing::TestBus;
/// # #[lightbus::api(name = "stock")]
/// # pub trait StockApi { async fn in_stock(&self, part: String) -> Result<u32, String>; }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let bus = TestBus::start().await?;
/// let stock = StockApiClient::new(&bus);
/// bus.stub(stock.in_stock("wheel")).times(1).returns(4).await?;
/// bus.stub(stock.in_stock("wheel")).fails("no such part".to_owned()).await?;
/// bus.stub(stock.in_stock("any other")).any_arguments().returns(0).await?;
///
/// assert_eq!(stock.in_stock("wheel").await?, 4);
/// assert!(stock.in_stock("wheel").await.is_err());
/// assert_eq!(stock.in_stock("door").await?, 0);
/// # Ok(()) }
/// ```
#[must_use = "nothing is answered until `.returns(..)` or the like is awaited"]
pub struct Stub<T, E> {
    bus: TestBus,
    outline: Outline,
    any_arguments: bool,
    times: Option<usize>,
    after: Duration,
    answers: PhantomData<fn(T, E)>,
}

impl<T, E> Stub<T, E> {
    pub(super) fn new(bus: &TestBus, outline: Outline) -> Self {
        Self {
            bus: bus.clone(),
            outline,
            any_arguments: false,
            times: None,
            after: Duration::ZERO,
            answers: PhantomData,
        }
    }

    /// Whatever the arguments are.
    pub fn any_arguments(mut self) -> Self {
        self.any_arguments = true;
        self
    }

    /// Answers so many calls, and no more. Default: all.
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// Answers after so long, on a bus with virtual time by that. Default: at once.
    pub fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }
}

impl<T, E> Stub<T, E> {
    /// Answers with this value.
    ///
    /// # Errors
    /// When the API's queue cannot be set up.
    pub async fn returns(self, value: T) -> Result<(), Error>
    where
        T: Serialize,
    {
        self.answer(reply_plain(value)).await
    }

    /// Answers with this error of the method's own.
    ///
    /// # Errors
    /// When the API's queue cannot be set up.
    pub async fn fails(self, error: E) -> Result<(), Error>
    where
        E: Serialize,
    {
        self.answer(reply::<(), E>(Err(error))).await
    }

    async fn answer(self, reply: Reply) -> Result<(), Error> {
        let rule = Rule {
            arguments: (!self.any_arguments).then(|| self.outline.content.clone()),
            left: self.times,
            after: self.after,
            reply,
        };
        self.bus.stubs().add(&self.bus, &self.outline, rule).await
    }
}

/// API and name.
type Method = (&'static str, &'static str);

/// All stubs of a test.
#[derive(Default)]
pub(super) struct Stubs {
    /// With how many messages there were before the first stub of an API: until then it was away, which a test may mean.
    apis: Mutex<HashMap<&'static str, (Arc<Provider>, usize)>>,
    rules: Arc<Mutex<Rules>>,
    /// The methods that are answered.
    served: Mutex<HashMap<Method, Arc<OnceCell<()>>>>,
}

#[derive(Default)]
struct Rules {
    of: HashMap<Method, Vec<Rule>>,
    complaints: Vec<String>,
}

struct Rule {
    /// `None` for any.
    arguments: Option<Value>,
    left: Option<usize>,
    after: Duration,
    reply: Reply,
}

impl Stubs {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        lock(&self.rules)
    }

    /// A recorded answer.
    pub(super) async fn replay(
        &self,
        bus: &TestBus,
        outline: &Outline,
        times: Option<usize>,
        reply: Reply,
    ) -> Result<(), Error> {
        let rule = Rule {
            arguments: Some(outline.content.clone()),
            left: times,
            after: Duration::ZERO,
            reply,
        };
        self.add(bus, outline, rule).await
    }

    async fn add(&self, bus: &TestBus, outline: &Outline, rule: Rule) -> Result<(), Error> {
        let method = (outline.api, outline.name);
        self.rules().of.entry(method).or_default().push(rule);
        let served = Arc::clone(lock(&self.served).entry(method).or_default());
        served
            .get_or_try_init(|| self.serve(bus, outline))
            .await
            .copied()
    }

    /// Answers a method, from now on.
    async fn serve(&self, bus: &TestBus, outline: &Outline) -> Result<(), Error> {
        let method = (outline.api, outline.name);
        let before = bus.look(|traffic, _| traffic.seen.len());
        let provider = {
            let mut apis = lock(&self.apis);
            let new = || (Arc::new(Provider::new(outline.api)), before);
            Arc::clone(&apis.entry(outline.api).or_insert_with(new).0)
        };
        let rules = Arc::clone(&self.rules);
        let clock = bus.clock().cloned();
        let answering: Answering =
            Arc::new(move |arguments| answer(&rules, clock.clone(), method, &arguments));
        provider.answer(bus, outline.name, answering).await
    }

    /// Apps that serve the calls of an API themselves, of which something is stubbed: their calls go to either.
    pub(super) fn beside(&self, apps: &[&Bus]) -> Vec<String> {
        let apis = lock(&self.apis);
        if apis.is_empty() {
            return Vec::new();
        }
        let of = |app: &&Bus| {
            let served = manifest(app).served.into_iter();
            let served = served.filter(|it| it.calls && apis.contains_key(it.outline.name));
            let told = served.map(|it| (it.outline.name, app.app().to_owned()));
            told.collect::<Vec<_>>()
        };
        let both: BTreeSet<_> = apps.iter().flat_map(of).collect();
        both.into_iter()
            .map(|(api, app)| {
                format!("`{api}` is served by the app {app} and by stubs: calls go to either")
            })
            .collect()
    }

    /// What is wrong with them although every expectation was met.
    pub(super) fn complaints(&self, seen: &[Seen]) -> Vec<String> {
        let mut complaints = self.rules().complaints.clone();
        complaints.extend(self.unserved(seen));
        complaints
    }

    pub(super) fn are_none(&self) -> bool {
        lock(&self.apis).is_empty()
    }

    /// Calls of APIs of which something is stubbed, that nobody serves.
    fn unserved(&self, seen: &[Seen]) -> Vec<String> {
        let apis = lock(&self.apis);
        let is_unserved = |(at, seen): &(usize, &Seen)| {
            let is_nowhere = seen.fates().any(|fate| *fate == Fate::Nowhere);
            let api = apis.get(seen.api.as_str());
            seen.kind == Kind::Call && is_nowhere && api.is_some_and(|(_, before)| at >= before)
        };
        let unserved = seen.iter().enumerate().filter(is_unserved);
        unserved
            .map(|(_, call)| {
                let (subject, by) = (call.subject(), &call.by);
                format!("{by} called {subject}, which no stub answers")
            })
            .collect()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Are these the arguments? What a recording does not tell may be any.
fn is_same(wanted: &Value, given: &Value) -> bool {
    let (Some(wanted), Some(given)) = (wanted.as_object(), given.as_object()) else {
        return wanted == given;
    };
    let is_such = |(name, value): (&String, &Value)| {
        let given = given.get(name);
        given.is_some_and(|given| given == value || value == SECRET)
    };
    wanted.len() == given.len() && wanted.iter().all(is_such)
}

fn answer(
    rules: &Mutex<Rules>,
    clock: Option<Arc<Clock>>,
    (api, method): Method,
    arguments: &Value,
) -> HandlerFuture {
    let mut rules = lock(rules);
    let fits = |rule: &&mut Rule| {
        let is_such = rule
            .arguments
            .as_ref()
            .is_none_or(|wanted| is_same(wanted, arguments));
        is_such && rule.left != Some(0)
    };
    let of = rules.of.get_mut(&(api, method));
    let rule = of.and_then(|all| all.iter_mut().find(fits));
    let (after, reply) = match rule {
        Some(rule) => {
            rule.left = rule.left.map(|left| left - 1);
            (rule.after, rule.reply.clone())
        }
        None => {
            let text = unanswered(&rules, (api, method), arguments);
            if !rules.complaints.contains(&text) {
                rules.complaints.push(text.clone());
            }
            (Duration::ZERO, refusal(text))
        }
    };
    run(async move {
        match clock {
            _ if after.is_zero() => {}
            Some(clock) => clock.pause(after).await,
            None => tokio::time::sleep(after).await,
        }
        reply
    })
}

/// That no rule is left for these arguments, for people.
fn unanswered(rules: &Rules, (api, method): Method, arguments: &Value) -> String {
    let given = shown(arguments, api, method);
    let fits = |rule: &Rule| {
        rule.arguments
            .as_ref()
            .is_none_or(|wanted| is_same(wanted, arguments))
    };
    if of_method(rules, (api, method)).any(fits) {
        return format!(
            "no stub answers {api}.{method} with {given} any more: it is used up by `.times(..)`"
        );
    }
    let stubbed = of_method(rules, (api, method)).map(|rule| rule.told((api, method)));
    let stubbed: Vec<_> = stubbed.collect();
    format!(
        "no stub answers {api}.{method} with {given}, only {}",
        stubbed.join(" or ")
    )
}

fn of_method<'a>(
    rules: &'a Rules,
    method: (&'static str, &'static str),
) -> impl Iterator<Item = &'a Rule> {
    rules.of.get(&method).into_iter().flatten()
}

impl Rule {
    /// What it answers, for people.
    fn told(&self, (api, method): Method) -> String {
        let arguments = self.arguments.as_ref();
        let arguments = arguments.map(|arguments| shown(arguments, api, method));
        let arguments = arguments.unwrap_or_else(|| "any arguments".to_owned());
        match self.left {
            Some(0) => format!("with {arguments}, which is used up by `.times(..)`"),
            _ => format!("with {arguments}"),
        }
    }
}

impl<T, E> fmt::Debug for Stub<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stub")
            .field("of", &self.outline)
            .finish_non_exhaustive()
    }
}
