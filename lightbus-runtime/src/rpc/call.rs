//! A call as its user sees it: a builder, then a future, typed by what the method returns.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::replies::Reply;
use super::request::Request;
use crate::boxed::Boxed;
use crate::bus::Bus;
use crate::codec::{Arg, DecodeError, EncodeError, Payload};
use crate::config::LONGEST_WAIT;
use crate::error::CallError;
use crate::event::{EventSet, Subscription};
use crate::manifest::ApiOutline;
use crate::task::Task;
use crate::task::spec::TaskSpec;
use crate::wire::Status;

/// What the macro knows of a method.
#[derive(Debug)]
pub struct CallSpec {
    /// The API's name.
    pub api: &'static str,
    /// The method's wire name.
    pub method: &'static str,
    /// The method's own timeout, before the bus's default.
    pub timeout: Option<Duration>,
    /// May the method run again when a provider was lost while it worked on it?
    pub idempotent: bool,
    /// Is the provider told when the caller has given up?
    pub cancel: bool,
}

/// What generated clients stand on.
#[derive(Clone, Debug)]
pub struct Client {
    bus: Bus,
}

impl Client {
    /// A client of an API over `bus`, which it keeps open.
    pub fn new(bus: &Bus, of: &'static ApiOutline) -> Self {
        bus.core().known.client(of);
        Self { bus: bus.clone() }
    }

    /// A call of a method that returns a `Result`.
    pub fn call<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        spec: &'static CallSpec,
        args: &[(&'static str, &dyn Arg)],
    ) -> Call<T, E> {
        Call::new(Request::new(&self.bus, spec, args), |payload| {
            payload.decode()
        })
    }

    /// A call of a method that returns a plain value.
    pub fn call_plain<T: DeserializeOwned>(
        &self,
        spec: &'static CallSpec,
        args: &[(&'static str, &dyn Arg)],
    ) -> Call<T, Infallible> {
        Call::new(Request::new(&self.bus, spec, args), no_domain)
    }

    /// A task that returns a `Result`.
    pub fn task<T: DeserializeOwned, E: DeserializeOwned>(
        &self,
        spec: &'static TaskSpec,
        args: &[(&'static str, &dyn Arg)],
    ) -> Task<T, E> {
        Task::new(&self.bus, spec, args, |payload| payload.decode())
    }

    /// A task that returns a plain value.
    pub fn task_plain<T: DeserializeOwned>(
        &self,
        spec: &'static TaskSpec,
        args: &[(&'static str, &dyn Arg)],
    ) -> Task<T, Infallible> {
        Task::new(&self.bus, spec, args, no_domain)
    }

    /// A subscription to an event, or to all events of an API.
    pub fn subscribe<S: EventSet>(&self) -> Subscription<S> {
        Subscription::new(&self.bus)
    }
}

fn no_domain(_: Payload<'_>) -> Result<Infallible, DecodeError> {
    Err(DecodeError(
        "this method returns no error of its own".to_owned(),
    ))
}

/// A call that is sent when it is awaited.
///
/// ```no_run
/// # use lightbus_runtime::{Call, CallError};
/// # async fn example(check_password: Call<bool, String>) -> Result<(), CallError<String>> {
/// use std::time::Duration;
/// // `auth.check_password("ada", "secret")` is such a call:
/// let ok: bool = check_password.timeout(Duration::from_millis(200)).await?;
/// # Ok(()) }
/// ```
#[must_use = "a call is sent when it is awaited"]
pub struct Call<T, E> {
    request: Request,
    decode_domain: fn(Payload<'_>) -> Result<E, DecodeError>,
    value: PhantomData<fn() -> T>,
}

impl<T, E> Call<T, E> {
    fn new(request: Request, decode_domain: fn(Payload<'_>) -> Result<E, DecodeError>) -> Self {
        Self {
            request,
            decode_domain,
            value: PhantomData,
        }
    }

    /// By its names alone.
    pub(crate) fn raw(
        bus: &Bus,
        spec: &'static CallSpec,
        payload: Result<Vec<u8>, EncodeError>,
    ) -> Self
    where
        E: DeserializeOwned,
    {
        Self::new(Request::raw(bus, spec, payload), |payload| payload.decode())
    }

    /// How long to wait for the answer, the way there included. Default: the method's `#[rpc(timeout)]`, else the bus's.
    ///
    /// Within a handler, a call never waits longer than the handler's own caller does.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.timeout = Some(timeout.min(LONGEST_WAIT));
        self
    }

    /// What it is a call of, and its arguments.
    pub(crate) fn parts(&self) -> (&'static CallSpec, Result<&[u8], String>) {
        let payload = self.request.payload.as_deref();
        (
            self.request.spec,
            payload.map_err(|error| error.to_string()),
        )
    }

    /// Adds a header that the handler reads by [`Context::header`](crate::Context::header). All headers together may take 32 KiB.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.headers.push((name.into(), value.into()));
        self
    }
}

impl<T, E> fmt::Debug for Call<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("api", &self.request.spec.api)
            .field("method", &self.request.spec.method)
            .finish()
    }
}

impl<T: DeserializeOwned, E> IntoFuture for Call<T, E> {
    type Output = Result<T, CallError<E>>;
    type IntoFuture = CallFuture<T, E>;

    fn into_future(self) -> CallFuture<T, E> {
        let spec = self.request.spec;
        CallFuture {
            spec,
            answer: self.request.send(),
            decode_domain: self.decode_domain,
            value: PhantomData,
        }
    }
}

/// A call under way. Dropping it gives the call up: the provider may still run it, unless the method says `#[rpc(cancel)]`: then it
/// is told, and drops the method's future.
#[must_use = "futures do nothing unless polled"]
pub struct CallFuture<T, E> {
    spec: &'static CallSpec,
    answer: Boxed<Result<Reply, Failure>>,
    decode_domain: fn(Payload<'_>) -> Result<E, DecodeError>,
    value: PhantomData<fn() -> T>,
}

impl<T, E> fmt::Debug for CallFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallFuture")
            .field("api", &self.spec.api)
            .field("method", &self.spec.method)
            .finish()
    }
}

impl<T: DeserializeOwned, E> Future for CallFuture<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(self.answer.as_mut().poll(cx));
        Poll::Ready(match answer {
            Ok(reply) => self.decode(&reply),
            Err(failure) => Err(failure.into_error(self.spec)),
        })
    }
}

impl<T: DeserializeOwned, E> CallFuture<T, E> {
    fn decode(&self, reply: &Reply) -> Result<T, CallError<E>> {
        let payload = || Payload::check(&reply.payload, reply.format);
        let decoded = match reply.status {
            None => payload().and_then(Payload::decode).map(Ok),
            Some(Status::Domain) => payload()
                .and_then(self.decode_domain)
                .map(|error| Err(CallError::Domain(error))),
            Some(status) => {
                return Err(Failure::of_status(status, &reply.detail).into_error(self.spec));
            }
        };
        decoded.unwrap_or_else(|error| {
            let detail = format!("the answer is not of the expected type: {error}");
            Err(Failure::BadReply(detail).into_error(self.spec))
        })
    }
}
