//! What `#[lightbus::test]` makes of a test.

use std::fmt::Debug;
use std::time::Duration;

use super::paint;
use super::rabbitmq;
use super::test_bus::{StartError, TestBus};

/// With virtual time: so long nothing may happen, while something waits for the time.
const STANDSTILL: Duration = Duration::from_secs(30);
const STANDS_STILL: &str = "the time of this bus stands still, something waits for it, and nothing has happened for 30 s: does the test wait for what only `bus.advance(..)` brings?\n  help: let it wait in a task of its own, `let call = tokio::spawn(call.into_future())`, then advance, then await the task\n";

/// What a test may return: `()`, or a `Result` of that.
pub trait TestOutcome {
    #[doc(hidden)]
    fn failure(&self) -> Option<String>;
    /// Of a test that did not run.
    #[doc(hidden)]
    fn skipped() -> Self;
}

impl TestOutcome for () {
    fn failure(&self) -> Option<String> {
        None
    }

    fn skipped() -> Self {}
}

impl<T: TestOutcome, E: Debug> TestOutcome for Result<T, E> {
    fn failure(&self) -> Option<String> {
        self.as_ref().err().map(|error| format!("{error:?}"))
    }

    fn skipped() -> Self {
        Ok(T::skipped())
    }
}

/// Where a test is to run.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum __On {
    /// On the embedded broker, unless `LIGHTBUS_TEST_URL` names a RabbitMQ.
    Environment,
    Embedded,
    /// On the RabbitMQ that `LIGHTBUS_TEST_URL` names, or not at all.
    RabbitMq {
        /// What a test says that should panic, as it also does when it is skipped.
        should_panic: Option<&'static str>,
    },
    /// On the embedded broker, whose clock the test moves.
    VirtualTime,
}

async fn start(on: __On) -> Result<TestBus, StartError> {
    match (on, rabbitmq::url()) {
        (__On::RabbitMq { .. }, Some(url)) => TestBus::on_rabbitmq(&url).await,
        (__On::Embedded, _) => TestBus::embedded().await,
        (__On::VirtualTime, url) => {
            if url.is_some() {
                eprintln!(
                    "{} needs virtual time: it stays on the embedded broker, whatever LIGHTBUS_TEST_URL says",
                    name()
                );
            }
            TestBus::with_virtual_time().await
        }
        _ => TestBus::start().await,
    }
}

/// The test's name, which its thread has.
fn name() -> String {
    let thread = std::thread::current();
    thread.name().unwrap_or("this test").to_owned()
}

/// Runs a test on a bus of its own.
#[doc(hidden)]
pub fn __run<F: Future<Output: TestOutcome>>(
    on: __On,
    test: impl FnOnce(TestBus) -> F,
) -> F::Output {
    if let __On::RabbitMq { should_panic } = on
        && rabbitmq::url().is_none()
    {
        let name = name();
        let why = "LIGHTBUS_TEST_URL names no RabbitMQ, as in amqp://guest:guest@localhost:5672";
        eprintln!("{name} is skipped: {why}");
        if let Some(expected) = should_panic {
            panic!("{name} is skipped, where it would say: {expected}");
        }
        return F::Output::skipped();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            runtime.block_on(async {
                let bus = start(on).await.map_err(|error| error.to_string())?;
                let outcome = tokio::select! {
                    biased;
                    outcome = test(bus.clone()) => outcome,
                    () = bus.standstill(STANDSTILL) => bus.fail(STANDS_STILL),
                };
                if outcome.failure().is_some() {
                    paint::print(&bus.account());
                } else {
                    bus.settled().await;
                    if let Some(complaint) = bus.complaint() {
                        bus.fail(&complaint);
                    }
                }
                Ok(outcome)
            })
        });
    match ran {
        Ok(outcome) => outcome,
        Err(why) => panic!("{why}"),
    }
}
