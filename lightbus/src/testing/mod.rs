//! Tests of what speaks over the bus: a real AMQP broker in the process for each of them, ready in milliseconds; or a RabbitMQ.
//!
//! With the feature `testing`, for `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! lightbus = { version = "0.1", features = ["testing"] }
//! ```
//!
//! One value says what is expected and what is to be sent: an event, or a call or task as a client makes it.
//!
//! | | an event | a call | a task |
//! |---|---|---|---|
//! | was it sent? | `bus.published(UserRegistered { .. }).await` | `bus.called(auth.check_password("ada", "x")).await` | `bus.enqueued(auth.resize_avatar(7)).await` |
//! | send it | `bus.simulate(UserRegistered { .. }).await?` | `bus.simulate(auth.check_password("ada", "x")).await?` | `bus.simulate(auth.resize_avatar(7)).await?` |
//!
//! Expectations wait, instead of sleeping: until the message was sent, and [became](Expectation::handled_by) what it should; or, for `.once()`, `.times(3)` and `.never()`, until the bus is quiet. [`then`](Expectation::then) asks for an order, [`TestBus::nothing_else`] for no other message. A test that fails says what was sent instead, where it differs, and what went wrong on the bus, and prints the story of
//! its bus: who sent what, where it went, and what became of it.
//!
//! A message that no type stands for is sent by its names: `bus.simulate(Raw::event("auth", "user_registered", json!({"username": "ada"}))).await?`, see [`Raw`]. What went over a bus is kept, and sent once more, as a [`Recording`].
//! Whether several apps fit together is one line, [`assert_wired`].
//!
//! Apps that are not part of a test are [stubbed](TestBus::stub), what can go wrong is made to go wrong by [`TestBus::faults`], and an hour on the broker passes in milliseconds by [`TestBus::advance`]. `TestBus` is the broker's only user: tests run side by side, and leave nothing behind.
//!
//! # On a RabbitMQ
//!
//! The same tests run on a RabbitMQ: `LIGHTBUS_TEST_URL=amqp://guest:guest@localhost:5672 cargo test`. Each test gets a virtual host of its own there, `lbtest-…`, which is removed with its bus; what killed test processes have left, a later run removes
//! after a day. For that, the RabbitMQ needs its management plugin (`rabbitmq-plugins enable rabbitmq_management`), and the user the tag `administrator`. `LIGHTBUS_TEST_MANAGEMENT_URL` says where the management API is; default: port 15672 of the same host, by `http`.
//! TLS is for neither. The URL's own virtual host is not used.
//!
//! The programs under test, and processes that were given [`TestBus::url`], are connected by a [relay](lightbus_broker::Relay), by which the test sees what they send. What RabbitMQ does by itself is not seen: an event or a task that overflows a queue, or comes back too often, has no fate in the
//! [story](TestBus::story).
//!
//! | | |
//! |---|---|
//! | `#[lightbus::test]`, [`TestBus::start`] | on the RabbitMQ of `LIGHTBUS_TEST_URL`, else on the embedded broker |
//! | `#[lightbus::test(broker = "embedded")]` | on the embedded broker: for [`TestBus::faults`] and [`TestBus::broker`] |
//! | `#[lightbus::test(broker = "rabbitmq")]` | on a RabbitMQ only; skipped, which the test says, without `LIGHTBUS_TEST_URL` |
//! | `#[lightbus::test(broker = "both")]` | two tests: `name` on the embedded broker, and `name_on_rabbitmq` |
//! | `#[lightbus::test(virtual_time)]`, [`TestBus::with_virtual_time`] | on the embedded broker, for [`TestBus::advance`] |

// A test fails by a panic. What is expected is given as it would be sent, by value.
#![allow(clippy::panic, clippy::needless_pass_by_value)]

mod apps;
mod away;
mod clues;
mod compare;
mod expect;
mod management;
mod order;
mod paint;
mod place;
mod rabbitmq;
mod recording;
mod run;
mod seen;
mod settled;
mod story;
mod stub;
mod test_bus;
mod time;
mod traffic;
mod unmet;
mod wanted;
mod wiring;

pub use expect::Expectation;
pub use lightbus_runtime::__testing::{Raw, RawError, Sendable};
pub use order::Sequence;
pub use recording::{Recording, RecordingError, Replay, ReplayError, Replayed};
pub use run::TestOutcome;
#[doc(hidden)]
pub use run::{__On, __run};
#[doc(no_inline)]
pub use serde_json::{Value, json};
pub use stub::Stub;
pub use test_bus::{StartError, TestBus};
pub use wiring::{Loose, Wiring, assert_wired};
