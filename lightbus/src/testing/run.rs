//! What `#[lightbus::test]` makes of a test.

use std::fmt::Debug;

use super::test_bus::TestBus;

/// What a test may return.
pub trait TestOutcome {
    #[doc(hidden)]
    fn failure(&self) -> Option<String>;
}

impl TestOutcome for () {
    fn failure(&self) -> Option<String> {
        None
    }
}

impl<T, E: Debug> TestOutcome for Result<T, E> {
    fn failure(&self) -> Option<String> {
        self.as_ref().err().map(|error| format!("{error:?}"))
    }
}

/// Runs a test on a bus of its own.
#[doc(hidden)]
pub fn __run<F: Future<Output: TestOutcome>>(test: impl FnOnce(TestBus) -> F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ran = runtime
        .map_err(|error| error.to_string())
        .and_then(|runtime| {
            runtime.block_on(async {
                let bus = TestBus::start().await.map_err(|error| error.to_string())?;
                let outcome = test(bus.clone()).await;
                if outcome.failure().is_some() {
                    eprintln!("\n{}", bus.story());
                } else {
                    bus.settled().await;
                    if let Some(complaint) = bus.complaints().first() {
                        bus.fail(complaint);
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
