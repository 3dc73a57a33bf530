//! One exchange: its type, its bindings, and where they lead.

use super::{
    headers,
    ids::{ExchangeId, QueueId},
    message::Headers,
    topic::Topics,
};
use crate::counters::ExchangeCounters;
use amq_protocol::types::FieldTable;
use std::{cell::Cell, collections::HashMap, sync::Arc};

/// The types of exchange there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Kind {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "direct" => Self::Direct,
            "fanout" => Self::Fanout,
            "topic" => Self::Topic,
            "headers" => Self::Headers,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
            Self::Headers => "headers",
        }
    }
}

/// Where a binding leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    Queue(QueueId),
    Exchange(ExchangeId),
}

/// The bindings of one target: the arguments of each, by key.
type Keys = HashMap<Arc<str>, Vec<FieldTable>>;

/// The bindings, laid out for routing. A target stands in it once for each binding.
#[derive(Debug)]
enum Router {
    Direct(HashMap<Arc<str>, Vec<Target>>),
    /// To whatever is bound.
    Fanout,
    Topic(Topics<Target>),
    Headers(Vec<(FieldTable, Target)>),
}

/// What an exchange counts while it routes.
#[derive(Debug, Default)]
pub(crate) struct Counted(Cell<ExchangeCounters>);

impl Counted {
    /// Counts a message and its copies.
    pub(crate) fn count(&self, copies: usize) {
        let mut counters = self.0.get();
        counters.received += 1;
        counters.routed += copies as u64;
        counters.unroutable += u64::from(copies == 0);
        self.0.set(counters);
    }

    pub(crate) fn get(&self) -> ExchangeCounters {
        self.0.get()
    }
}

/// An exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) id: ExchangeId,
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) alternate: Option<Arc<str>>,
    pub(crate) declared: FieldTable,
    /// The exchanges that have, or had, bindings to it.
    pub(crate) sources: Vec<ExchangeId>,
    pub(crate) counters: Counted,
    bindings: HashMap<Target, Keys>,
    router: Router,
}

/// How an exchange is declared.
#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) durable: bool,
    pub(crate) auto_delete: bool,
    pub(crate) internal: bool,
    pub(crate) alternate: Option<Arc<str>>,
    pub(crate) declared: FieldTable,
}

impl Exchange {
    pub(crate) fn new(id: ExchangeId, of: Declaration) -> Self {
        Self {
            id,
            name: of.name,
            kind: of.kind,
            durable: of.durable,
            auto_delete: of.auto_delete,
            internal: of.internal,
            alternate: of.alternate,
            declared: of.declared,
            sources: Vec::new(),
            counters: Counted::default(),
            bindings: HashMap::new(),
            router: match of.kind {
                Kind::Direct => Router::Direct(HashMap::new()),
                Kind::Fanout => Router::Fanout,
                Kind::Topic => Router::Topic(Topics::default()),
                Kind::Headers => Router::Headers(Vec::new()),
            },
        }
    }

    pub(crate) fn has_bindings(&self) -> bool {
        !self.bindings.is_empty()
    }

    pub(crate) fn has_binding(
        &self,
        target: Target,
        key: &Arc<str>,
        arguments: &FieldTable,
    ) -> bool {
        let same = self.bindings.get(&target).and_then(|keys| keys.get(key));
        same.is_some_and(|same| same.contains(arguments))
    }

    /// Every binding: where to, key, arguments.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (Target, &Arc<str>, &FieldTable)> {
        self.bindings.iter().flat_map(|(target, keys)| {
            keys.iter().flat_map(move |(key, all)| {
                all.iter().map(move |arguments| (*target, key, arguments))
            })
        })
    }

    /// Adds a binding, unless it is there already; says whether it was not.
    pub(crate) fn bind(&mut self, target: Target, key: &Arc<str>, arguments: FieldTable) -> bool {
        let keys = self.bindings.entry(target).or_default();
        let same = keys.entry(key.clone()).or_default();
        if same.contains(&arguments) {
            return false;
        }
        match &mut self.router {
            Router::Direct(keys) => keys.entry(key.clone()).or_default().push(target),
            Router::Fanout => {}
            Router::Topic(topics) => topics.insert(key, target),
            Router::Headers(list) => list.push((arguments.clone(), target)),
        }
        same.push(arguments);
        true
    }

    /// Removes a binding; says whether it was there.
    pub(crate) fn unbind(
        &mut self,
        target: Target,
        key: &Arc<str>,
        arguments: &FieldTable,
    ) -> bool {
        let Some(keys) = self.bindings.get_mut(&target) else {
            return false;
        };
        let Some(same) = keys.get_mut(key) else {
            return false;
        };
        let Some(at) = same.iter().position(|other| other == arguments) else {
            return false;
        };
        same.swap_remove(at);
        if same.is_empty() {
            keys.remove(key);
        }
        if keys.is_empty() {
            self.bindings.remove(&target);
        }
        self.unroute(target, key, arguments);
        true
    }

    /// Removes every binding to a target; says whether there were any.
    pub(crate) fn unbind_all(&mut self, target: Target) -> bool {
        let Some(keys) = self.bindings.remove(&target) else {
            return false;
        };
        for (key, all) in keys {
            for arguments in all {
                self.unroute(target, &key, &arguments);
            }
        }
        true
    }

    fn unroute(&mut self, target: Target, key: &Arc<str>, arguments: &FieldTable) {
        match &mut self.router {
            Router::Direct(keys) => {
                if let Some(targets) = keys.get_mut(key) {
                    forget(targets, |other| *other == target);
                    if targets.is_empty() {
                        keys.remove(key);
                    }
                }
            }
            Router::Fanout => {}
            Router::Topic(topics) => topics.remove(key, target),
            Router::Headers(list) => forget(list, |(a, to)| *to == target && a == arguments),
        }
    }

    /// Calls `found` with the targets for a message; a target may come more than once.
    pub(crate) fn route(
        &self,
        key: &str,
        message_headers: &Headers<'_>,
        mut found: impl FnMut(Target),
    ) {
        match &self.router {
            Router::Direct(keys) => keys
                .get(key)
                .into_iter()
                .flatten()
                .for_each(|target| found(*target)),
            Router::Fanout => self.bindings.keys().for_each(|target| found(*target)),
            Router::Topic(topics) => topics.matches(key, found),
            Router::Headers(list) => {
                let fitting = list
                    .iter()
                    .filter(|(arguments, _)| headers::matches(arguments, message_headers.table()));
                fitting.for_each(|(_, target)| found(*target));
            }
        }
    }
}

fn forget<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool) {
    if let Some(at) = list.iter().position(is) {
        list.swap_remove(at);
    }
}

/// How errors name an exchange.
pub(crate) fn subject(name: &str, vhost: &str) -> String {
    format!("exchange '{name}' in vhost '{vhost}'")
}
