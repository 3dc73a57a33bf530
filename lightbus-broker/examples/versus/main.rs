//! The embedded broker beside a RabbitMQ, on the same machine, in turns, each figure the median of its rounds:
//! `cargo run --release -p lightbus-broker --example versus -- amqp://127.0.0.1:5672 [rounds]`.
//!
//! Without an address, the embedded broker is measured alone. It runs in a process of its own, as the other one does.

mod child;
mod clients;
mod raw;
mod table;

use child::Child;
use std::error::Error;
use table::{Row, Wanted};

/// Messages of 100 bytes in one round.
const RAW: u64 = 300_000;
const THROUGH_LAPIN: usize = 30_000;
const CALLS: usize = 2_000;
const QUEUED: u64 = 1_000_000;
const MIB: f64 = (1 << 20) as f64;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if let Some(role) = first.as_deref().and_then(child::Role::named) {
        return child::play(role);
    }
    let rounds = arguments.next().map_or(Ok(5), |text| text.parse())?;
    println!("{:<46}{:>12} {:>12}", "", "the other", "lightbus");
    let mut rows = rates(first.as_deref(), rounds)?;
    let small = smallness(rounds)?;
    small.iter().for_each(|row| println!("{row}"));
    rows.extend(small);
    let short = rows.iter().filter(|row| !row.is_met()).count();
    println!("\n{} met, {short} short", rows.len() - short);
    Ok(())
}

/// How something is measured on the broker at an address.
type Measure = fn(&str) -> Outcome<f64>;

/// Everything that is compared.
fn rates(other: Option<&str>, rounds: usize) -> Outcome<Vec<Row>> {
    let ours = Child::serve()?;
    let measures: [(&str, Measure, Wanted); 6] = [
        (
            "raw, no_ack: messages/s",
            |url| raw::rate(url, RAW, None),
            Wanted::Times(3.0),
        ),
        (
            "raw, acks of 500: messages/s",
            |url| raw::rate(url, RAW, Some(500)),
            Wanted::Times(3.0),
        ),
        (
            "lapin, consumed and acknowledged: messages/s",
            |url| clients::rate(url, THROUGH_LAPIN, false),
            Wanted::Times(0.95),
        ),
        (
            "lapin, persistent and confirmed: messages/s",
            |url| clients::rate(url, THROUGH_LAPIN, true),
            Wanted::Times(1.2),
        ),
        (
            "call, direct reply-to: p50, µs",
            |url| clients::call(url, CALLS, true),
            Wanted::Share(0.6),
        ),
        (
            "call, reply queue: p50, µs",
            |url| clients::call(url, CALLS, false),
            Wanted::Share(0.6),
        ),
    ];
    let mut rows = Vec::new();
    for (name, measure, wanted) in measures {
        let mut row = Row::new(name, wanted);
        for _ in 0..rounds {
            if let Some(other) = other {
                row.theirs.push(measure(other)?);
            }
            row.ours.push(measure(ours.says())?);
        }
        println!("{row}");
        rows.push(row);
    }
    Ok(rows)
}

/// What the embedded broker costs by itself.
fn smallness(rounds: usize) -> Outcome<Vec<Row>> {
    let mut start = Row::new(
        "start to the first confirmed publish: ms",
        Wanted::Below(20.0),
    );
    let mut idle = Row::new("a process with an idle broker: MiB", Wanted::Below(10.0));
    let mut queued = Row::new("with a million queued messages: MiB", Wanted::Below(400.0));
    for _ in 0..rounds {
        start.ours.push(Child::first_publish()?.says().parse()?);
        idle.ours.push(Child::serve()?.resident()? / MIB);
    }
    let broker = Child::serve()?;
    raw::fill(broker.says(), QUEUED)?;
    queued.ours.push(broker.resident()? / MIB);
    Ok(vec![start, idle, queued])
}
