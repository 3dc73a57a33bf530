//! lightbus on a broker: on the embedded one, or with `LIGHTBUS_TEST_URL` set on a RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod cancelling;
mod connecting;
mod dead_letters;
mod deadlines;
mod deduplicate;
mod events;
mod flows;
mod foreign;
mod giving_up;
mod health;
mod hostile;
mod leaving;
mod listening;
mod publishing;
mod reconnecting;
mod restarting;
mod retrying;
mod schedules;
mod task_results;
mod tasks;
