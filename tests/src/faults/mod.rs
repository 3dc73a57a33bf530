//! The fault matrix: what goes wrong in production, made to go wrong on purpose, on every broker.
//!
//! ```text
//! cargo run --release -p lightbus-tests --bin faults                        all rows on all brokers
//! cargo run --release -p lightbus-tests --bin faults -- --quick             what CI runs
//! cargo run --release -p lightbus-tests --bin faults -- --broker 4 --row 3  one row on RabbitMQ 4
//! cargo run --release -p lightbus-tests --bin faults -- --soak              everything at once, for 10 minutes; see `soak`
//! ```
//!
//! # How to add a row
//!
//! 1. Write a function in the file of its kind of fault: `async fn name(stage: &Stage) -> anyhow::Result<Outcome>`. Its doc comment
//!    begins with the row's number and says what goes wrong.
//! 2. Let something flow: [`events::Events::flow`] publishes and listens and keeps the books, [`calls::Provider`] answers calls. Apps are
//!    made by [`Stage::app`]: they have names of their own in each row. Queues that stay behind are told to [`Stage::leaves`].
//! 3. Make it go wrong: by a [`Proxy`](crate::proxy::Proxy) from [`Stage::proxy`] if it is the network's fault, by a method of [`Stage`] if
//!    it is the broker's or an operator's. A fault that a broker cannot have is [`NotApplicable`].
//! 4. Judge: [`Outcome::recovered`](outcome::Outcome::recovered) has a bound, [`Outcome::check`](outcome::Outcome::check) a sentence that is to be true, and
//!    [`Events::finish`](events::Events::finish) counts what was lost: a confirmed event that was not handled and is not dead.
//! 5. Name it in the list of [`rows`], with `quick` if it takes a few seconds.
//!
//! A row that fails shows a mistake of the runtime, or of its own. It is never made weaker to pass.

mod alarms;
pub mod api;
pub mod calls;
mod clocks;
mod connecting;
mod crashes;
mod cuts;
pub mod events;
mod failing;
mod flows;
mod half_open;
pub mod health;
mod hostile;
pub mod ledger;
mod operator;
pub mod outcome;
pub mod process;
pub mod report;
pub mod resources;
mod schedules;
mod slow;
pub mod soak;
pub mod stage;
mod tasks;
pub mod traffic;

use std::pin::Pin;
use std::time::{Duration, Instant};

use outcome::{NotApplicable, Outcome};
use report::{Report, Verdict};
use stage::{Pace, Stage};

type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Outcome>> + 'a>>;

/// A row of the fault matrix.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its number in the matrix. Variants of a fault share one.
    pub number: u8,
    /// What goes wrong.
    pub fault: &'static str,
    /// Whether it is part of the quick selection.
    pub quick: bool,
    run: for<'a> fn(&'a Stage) -> Running<'a>,
}

macro_rules! row {
    ($number:literal, quick, $fault:literal, $run:path) => {
        row!($number, $fault, true, $run)
    };
    ($number:literal, slow, $fault:literal, $run:path) => {
        row!($number, $fault, false, $run)
    };
    ($number:literal, $fault:literal, $quick:literal, $run:path) => {
        Row {
            number: $number,
            fault: $fault,
            quick: $quick,
            run: |stage| Box::pin($run(stage)),
        }
    };
}

/// All rows.
pub fn rows() -> Vec<Row> {
    vec![
        row!(1, quick, "publisher cut off", cuts::publisher),
        row!(2, quick, "listener cut off", cuts::listener),
        row!(3, quick, "broker killed, events", crashes::events),
        row!(4, quick, "broker killed, retries", crashes::retries),
        row!(5, quick, "stopped, 1 listener", operator::stop_and_start),
        row!(
            5,
            slow,
            "stopped, 200 listeners",
            operator::stop_and_start_many
        ),
        row!(6, quick, "connections closed", operator::close_connections),
        row!(7, quick, "half-open, both ways", half_open::both_ways),
        row!(8, slow, "half-open, from broker", half_open::to_client),
        row!(8, slow, "half-open, to broker", half_open::to_broker),
        row!(9, quick, "black hole, then cut", half_open::blackhole),
        row!(10, quick, "accepts, stays silent", connecting::silence),
        row!(11, quick, "connections refused", connecting::refused),
        row!(11, quick, "refused at a lazy start", connecting::lazy),
        row!(12, quick, "wrong login or host", connecting::wrong),
        row!(13, slow, "memory alarm", alarms::publishers),
        row!(14, quick, "alarm and shutdown", alarms::shutdown),
        row!(15, quick, "queue deleted", operator::queue_deleted),
        row!(16, quick, "exchange deleted", operator::exchange_deleted),
        row!(17, slow, "handler times out", slow::handler),
        row!(18, quick, "app killed in a call", crashes::provider),
        row!(19, quick, "acknowledgement lost", calls::swallowed_ack),
        row!(20, quick, "no provider", calls::no_provider),
        row!(21, quick, "rolling restart", calls::rolling_restart),
        row!(22, quick, "caller reconnects", calls::reconnecting),
        row!(23, quick, "handler always fails", failing::always),
        row!(23, quick, "handler aborts its app", failing::aborts),
        row!(23, quick, "task aborts its worker", tasks::aborts),
        row!(24, quick, "hostile messages", hostile::messages),
        row!(25, quick, "queue full", hostile::full_queue),
        row!(26, quick, "some calls unroutable", calls::unroutable_mix),
        row!(27, quick, "schedule, all faults", schedules::replicas),
        row!(28, slow, "handlers block threads", slow::blocked_threads),
        row!(29, quick, "queue mismatch", operator::mismatch),
        row!(30, quick, "permission taken", operator::permissions),
        row!(31, quick, "clocks 10 s off", clocks::skewed),
        row!(32, slow, "slow link", slow::link),
        row!(33, quick, "workers killed", tasks::killed),
        row!(34, quick, "workers killed, flows", flows::killed),
    ]
}

impl Row {
    /// Runs the row on a broker, and cleans up after it.
    pub async fn run(&self, stage: &Stage) -> Report {
        let began = Instant::now();
        stage.begin(format!("row{}-", self.number));
        let limit = match stage.pace() {
            Pace::Full => Duration::from_secs(600),
            _ => Duration::from_secs(180),
        };
        let ended = tokio::time::timeout(limit, (self.run)(stage)).await;
        let ended = ended.unwrap_or_else(|_| Err(anyhow::anyhow!("not over after {limit:?}")));
        let cleaned = stage.end().await;
        let verdict = match (ended, cleaned) {
            (Ok(outcome), Ok(())) => Verdict::Ran(outcome),
            (Ok(_), Err(error)) => Verdict::Broke(format!("cannot clean up: {error:#}")),
            (Err(error), _) => match error.downcast_ref::<NotApplicable>() {
                Some(why) => Verdict::NotApplicable(why.to_string()),
                None => Verdict::Broke(format!("{error:#}")),
            },
        };
        Report {
            row: self.number,
            fault: self.fault,
            broker: stage.kind().name(),
            verdict,
            took: began.elapsed(),
        }
    }
}
