//! Stores and the outbox on databases, and a broker: the embedded one, or with `LIGHTBUS_URL` set a RabbitMQ.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod databases;
mod once;
mod outbox;
