//! What the macro makes of a trait for its provider: a table of methods, and one shim each.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

use crate::args::{ArgError, Args};
use crate::codec::{EncodeError, encode};
use crate::manifest::ApiOutline;
use crate::task::spec::TaskSpec;

/// The dispatcher that `#[lightbus::api]` generates for a trait, as `AuthApiServer<T>`. Give it to [`Bus::serve`](crate::Bus::serve).
pub trait Service: Send + Sync + 'static {
    /// The type that implements the API's trait.
    type Api: Send + Sync + 'static;
    /// The API's name on the bus, `auth`.
    const NAME: &'static str;
    #[doc(hidden)]
    const OUTLINE: &'static ApiOutline;
    #[doc(hidden)]
    const METHODS: &'static [Method<Self::Api>];
    #[doc(hidden)]
    fn into_api(self) -> Arc<Self::Api>;
}

/// One row of the method table.
#[derive(Debug)]
pub struct Method<T> {
    /// The wire name.
    pub name: &'static str,
    /// May the method run again when a provider was lost while it worked on it?
    pub idempotent: bool,
    /// Is the method's future dropped when the caller has given up?
    pub cancel: bool,
    /// What makes it a task; `None` for a call.
    pub task: Option<&'static TaskSpec>,
    /// Decodes the arguments, runs the method, encodes the answer.
    pub call: fn(Arc<T>, Args) -> Result<HandlerFuture, ArgError>,
}

/// A call being handled.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// An encoded answer.
#[derive(Clone, Debug)]
pub struct Reply(pub(crate) Answer);

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Ok(Vec<u8>),
    Domain(Vec<u8>),
    Unencodable(EncodeError),
}

/// Boxes a shim's future: the one allocation of a handler.
pub fn run(handler: impl Future<Output = Reply> + Send + 'static) -> HandlerFuture {
    Box::pin(handler)
}

/// Encodes what a method returned.
#[allow(clippy::needless_pass_by_value)] // Generated code hands over what the call gave it.
pub fn reply<T: Serialize, E: Serialize>(result: Result<T, E>) -> Reply {
    let encoded = match &result {
        Ok(value) => encode(value).map(Answer::Ok),
        Err(error) => encode(error).map(Answer::Domain),
    };
    Reply(encoded.unwrap_or_else(Answer::Unencodable))
}

/// Encodes what a method returned that cannot fail.
pub fn reply_plain<T: Serialize>(value: T) -> Reply {
    reply::<T, ()>(Ok(value))
}

/// A service without its type. Calls and tasks are told apart here: none is run as the other.
pub(crate) trait Dispatch: Send + Sync {
    fn rows(&self) -> usize;
    /// A call's row.
    fn method(&self, name: &str) -> Option<usize>;
    /// A task's row.
    fn task(&self, name: &str) -> Option<usize>;
    fn name(&self, row: usize) -> &'static str;
    fn spec(&self, row: usize) -> Option<&'static TaskSpec>;
    fn is_idempotent(&self, row: usize) -> bool;
    fn may_be_cancelled(&self, row: usize) -> bool;
    fn call(&self, row: usize, args: Args) -> Result<HandlerFuture, ArgError>;
}

pub(crate) struct Table<S: Service>(Arc<S::Api>);

impl<S: Service> Table<S> {
    pub(crate) fn new(service: S) -> Self {
        Self(service.into_api())
    }
}

impl<S: Service> Dispatch for Table<S> {
    fn rows(&self) -> usize {
        S::METHODS.len()
    }

    fn method(&self, name: &str) -> Option<usize> {
        let is_call = |row: &Method<S::Api>| row.name == name && row.task.is_none();
        S::METHODS.iter().position(is_call)
    }

    fn task(&self, name: &str) -> Option<usize> {
        let is_task = |row: &Method<S::Api>| row.name == name && row.task.is_some();
        S::METHODS.iter().position(is_task)
    }

    fn name(&self, row: usize) -> &'static str {
        S::METHODS[row].name
    }

    fn spec(&self, row: usize) -> Option<&'static TaskSpec> {
        S::METHODS[row].task
    }

    fn is_idempotent(&self, row: usize) -> bool {
        S::METHODS[row].idempotent
    }

    fn may_be_cancelled(&self, row: usize) -> bool {
        S::METHODS[row].cancel
    }

    fn call(&self, row: usize, args: Args) -> Result<HandlerFuture, ArgError> {
        (S::METHODS[row].call)(Arc::clone(&self.0), args)
    }
}
