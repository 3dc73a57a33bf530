//! A call without its types: encoded, published, waited for. Compiled once, for all methods.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::call::CallSpec;
use super::cancel::Canceller;
use super::failure::Failure;
use super::pending::Waiting;
use super::replies::{self, Reply};
use crate::boxed::Boxed;
use crate::budget::Room;
use crate::bus::Bus;
use crate::codec::{Arg, EncodeError, encode_args};
use crate::connection::publisher::Outgoing;
use crate::connection::{LinkClosed, declare, pause};
use crate::context::Context;
use crate::error::Error;
use crate::remains::Place;
use crate::retry::chance;
use crate::topology;
use crate::wire::{self, Status};

/// First look for a returned call. It comes back in well under a millisecond, but lapin wakes nobody for it.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LONGEST_LOOK: Duration = Duration::from_millis(250);

/// Before a call is sent again that a provider gave back: at random up to this, then up to twice as long, and so on.
const RETRY_FIRST: Duration = Duration::from_millis(5);
const RETRY_LONGEST: Duration = Duration::from_millis(500);
/// With less time left it is not worth an attempt.
const RETRY_LAST: Duration = Duration::from_millis(20);

pub(super) struct Request {
    bus: Bus,
    pub(super) spec: &'static CallSpec,
    pub(super) payload: Result<Vec<u8>, EncodeError>,
    pub(super) timeout: Option<Duration>,
    pub(super) headers: Vec<(String, String)>,
}

impl Request {
    pub(super) fn new(
        bus: &Bus,
        spec: &'static CallSpec,
        args: &[(&'static str, &dyn Arg)],
    ) -> Self {
        Self::raw(bus, spec, encode_args(args))
    }

    pub(super) fn raw(
        bus: &Bus,
        spec: &'static CallSpec,
        payload: Result<Vec<u8>, EncodeError>,
    ) -> Self {
        Self {
            bus: bus.clone(),
            spec,
            payload,
            timeout: None,
            headers: Vec::new(),
        }
    }

    fn timeout(&self) -> Duration {
        let own = self
            .timeout
            .or(self.spec.timeout)
            .unwrap_or(self.bus.core().config.call_timeout);
        Context::inherited_time().map_or(own, |left| own.min(left))
    }

    fn check(&self) -> Result<(), Failure> {
        let payload = self
            .payload
            .as_ref()
            .map_err(|error| Failure::BadArguments(format!("cannot be encoded: {error}")))?;
        let limit = self.bus.core().config.payload_limit;
        if payload.len() > limit {
            return Err(Failure::Rejected(format!(
                "the arguments take {} bytes, the limit is {limit}. Send a reference instead, or raise `payload_limit` on both sides",
                payload.len()
            )));
        }
        wire::check_headers(&self.headers).map_err(Failure::Rejected)
    }

    pub(super) fn send(self) -> Boxed<Result<Reply, Failure>> {
        Box::pin(self.exchange())
    }

    async fn exchange(self) -> Result<Reply, Failure> {
        self.check()?;
        let timeout = self.timeout();
        let core = self.bus.core();
        let deadline = core.clock.now() + timeout;
        let room = self.reserve(self.payload().len(), deadline, timeout);
        let exchange = topology::rpc_name(self.spec.api);
        let mut place = Place::of_call(core, room.await?, &exchange);
        let mut longest = RETRY_FIRST;
        loop {
            let reply = self.attempt(&mut place, deadline, timeout).await?;
            if reply.status != Some(Status::ShuttingDown) {
                return Ok(reply);
            }
            // Jitter, so that the calls which a stopping provider gives back do not all come to the next one at once.
            let left = core.clock.left(deadline);
            if left < RETRY_LAST {
                return Err(not_executed(timeout));
            }
            core.counters.calls_retried.add();
            tokio::time::sleep(longest.mul_f64(chance()).min(left / 2)).await;
            longest = (longest * 2).min(RETRY_LONGEST);
        }
    }

    /// Room in the budget. While the broker takes nothing there is no waiting for it: the program is to feel the pressure.
    async fn reserve(
        &self,
        payload: usize,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Room, Failure> {
        let core = self.bus.core();
        if let Some(room) = core.calls_budget.try_reserve(payload) {
            return Ok(room);
        }
        if core.io.publish.is_blocked() {
            return Err(Failure::Blocked(format!(
                "not sent: {}, and the messages that wait for it fill their share of memory",
                core.io
                    .publish
                    .trouble()
                    .unwrap_or("the broker blocks publishers")
            )));
        }
        let room = core
            .clock
            .timeout_at(deadline, core.calls_budget.reserve(payload))
            .await;
        room.ok()
            .flatten()
            .ok_or_else(|| self.not_sent(timeout, "too many calls are waiting for their answers"))
    }

    fn payload(&self) -> &[u8] {
        self.payload.as_deref().unwrap_or_default()
    }

    /// Sends the call once, and waits for its answer.
    async fn attempt(
        &self,
        place: &mut Place<'_>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let (core, exchange) = (self.bus.core(), place.exchange);
        let not_sent = |_| self.not_sent(timeout, "the broker is slow to set things up");
        let mut waiting = loop {
            if !self.is_ready(exchange) {
                let ready = core
                    .clock
                    .timeout_at(deadline, self.prepare(exchange))
                    .await;
                ready.map_err(not_sent)??;
            }
            let waiting = core
                .pending
                .register(core.clock.new_id(), Canceller::of(core, self.spec));
            let left = core.clock.left(deadline);
            let message = Outgoing {
                exchange,
                key: self.spec.method,
                mandatory: true,
                properties: core.sender.request(waiting.id, left, &self.headers),
                payload: self.payload(),
            };
            if core.direct.submit(message).is_ok() {
                break waiting;
            }
            waiting.was_not_sent();
        };
        place.held.frames = true;
        let ended = self.wait(&mut waiting, deadline, timeout).await;
        // What was answered, or came back, has been written.
        place.held.frames = matches!(ended, Err(Failure::Timeout(_)));
        ended
    }

    fn is_ready(&self, exchange: &str) -> bool {
        let direct = &self.bus.core().direct;
        direct.is_ready(exchange) && (!self.spec.cancel || direct.is_ready(topology::CONTROL))
    }

    /// The reply queue, an open channel, and the exchanges: needed once, then known.
    async fn prepare(&self, exchange: &str) -> Result<(), Failure> {
        let core = self.bus.core();
        let failed = |error: Error| Failure::of_preparing(&error);
        core.replies
            .get_or_try_init(|| replies::start(core))
            .await
            .map_err(failed)?;
        while !self.is_ready(exchange) {
            core.direct.open().await.map_err(closed)?;
            match self.ensure(exchange).await {
                // Lost while declaring: there will be another connection.
                Err(Error::Broker { .. } | Error::Closed) if !core.life.stop.is_cancelled() => {
                    pause().await
                }
                ended => ended.map_err(failed)?,
            }
        }
        Ok(())
    }

    async fn ensure(&self, exchange: &str) -> Result<(), Error> {
        let direct = &self.bus.core().direct;
        if self.spec.cancel {
            let plan = topology::control_plan;
            direct.ensure(topology::CONTROL, plan).await?;
        }
        let plan = || topology::caller_plan(self.spec.api);
        direct.ensure(exchange, plan).await
    }

    async fn wait(
        &self,
        waiting: &mut Waiting<'_>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        let core = self.bus.core();
        let mut look = FIRST_LOOK;
        loop {
            let answer = core.clock.look(look, deadline, &mut waiting.answer);
            match answer.await {
                Ok(Ok(Err(Failure::Returned))) => return Err(self.unserved(deadline).await),
                Ok(Ok(answer)) => return answer,
                Ok(Err(oneshot::error::RecvError { .. })) => return Err(closed(LinkClosed)),
                Err(_) => {
                    core.sort_returned();
                    if core.clock.now() >= deadline {
                        return self.last_look(waiting, deadline, timeout).await;
                    }
                    look = (look * 4).min(LONGEST_LOOK);
                }
            }
        }
    }

    async fn last_look(
        &self,
        waiting: &mut Waiting<'_>,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Reply, Failure> {
        match waiting.answer.try_recv() {
            Ok(Err(Failure::Returned)) => Err(self.unserved(deadline).await),
            Ok(answer) => answer,
            Err(_) => Err(self.timed_out(timeout)),
        }
    }

    /// Nobody serves the method. Does somebody serve the API?
    async fn unserved(&self, deadline: Instant) -> Failure {
        let core = self.bus.core();
        let queue = topology::rpc_name(self.spec.api);
        let asked = match core.io.publish.now() {
            Some(session) => {
                let asked = declare::consumers(&session, &queue);
                let answer = core.clock.timeout_at(deadline, asked).await;
                answer.ok().and_then(Result::ok).flatten()
            }
            None => None,
        };
        match asked {
            Some(providers) if providers > 0 => Failure::UnknownMethod(format!(
                "{providers} provider(s) serve `{}`, but none of them this method; they were built from another version of the API",
                self.spec.api
            )),
            _ => Failure::NoProvider(format!(
                "nobody serves `{}` on this broker and vhost. Is its app running, and connected to {}?",
                self.spec.api,
                core.config.broker()
            )),
        }
    }

    fn timed_out(&self, timeout: Duration) -> Failure {
        let core = self.bus.core();
        let why = core.io.publish.trouble().unwrap_or(
            "the provider is slow, busy, or was lost; or its queue is full. The call may have run",
        );
        Failure::Timeout(format!(
            "no answer within {} ms: {why}",
            timeout.as_millis()
        ))
    }

    fn not_sent(&self, timeout: Duration, otherwise: &str) -> Failure {
        let core = self.bus.core();
        let why = core.io.publish.trouble().unwrap_or(otherwise);
        let detail = format!("not sent within {} ms: {why}", timeout.as_millis());
        match core.io.publish.is_blocked() {
            true => Failure::Blocked(detail),
            false => Failure::Connection(detail),
        }
    }
}

fn closed(_: LinkClosed) -> Failure {
    Failure::Connection("the bus is closed".to_owned())
}

fn not_executed(timeout: Duration) -> Failure {
    Failure::NotExecuted(format!(
        "not run within {} ms: each provider that took it was shutting down, and gave it back. Does another one start, or is \
         the timeout shorter than a restart?",
        timeout.as_millis()
    ))
}
