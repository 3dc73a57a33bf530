//! The two contestants, in turns, and the verdict.

use anyhow::{Result, ensure};
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use lightbus_benches::meter::median;

use crate::Contestant::{self, Lapin, Lightbus};
use crate::process::Process;
use crate::{by_hand, by_trait};

/// More than that is no noise of an allocator.
const FLAT_MIB: u64 = 16;

/// One run of one contestant; of each pair, first the enqueuer's, then the worker's.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Tasks a second.
    rates: [f64; 2],
    /// Processor time a task, in microseconds.
    cpu: [f64; 2],
    /// By how many MiB the processes grew.
    growth: [u64; 2],
}

pub(crate) async fn run(url: &str, count: u64, rounds: u32) -> Result<()> {
    let (mut hand, mut bus) = (Vec::new(), Vec::new());
    println!(
        "          enqueued/s      run/s   CPU µs to enqueue     to run   memory grown by, MiB"
    );
    for round in 0..rounds {
        let turns = match round % 2 {
            0 => [Lapin, Lightbus],
            _ => [Lightbus, Lapin],
        };
        for by in turns {
            let run = once(url, by, count).await?;
            let ([enqueued, ran], [to_enqueue, to_run]) = (run.rates, run.cpu);
            println!(
                "{:<9} {enqueued:>10.0} {ran:>10.0} {to_enqueue:>19.1} {to_run:>10.1}   {} and {}",
                by.name(),
                run.growth[0],
                run.growth[1]
            );
            match by {
                Lapin => hand.push(run),
                Lightbus => bus.push(run),
            }
        }
    }
    tell(count, &hand, &bus);
    Ok(())
}

/// Fails when a task is lost, run twice, or left.
async fn once(url: &str, by: Contestant, count: u64) -> Result<Run> {
    let mut enqueuer = Process::start("enqueue", by, url, count)?;
    let enqueued = enqueuer.until(count).await?;
    enqueuer.ended().await?;
    let mut worker = Process::start("work", by, url, count)?;
    let run = worker.until(count).await?;
    worker.end().await?;
    ensure!(run.done == count, "{} ran, not {count}", run.done);
    ensure!(run.twice == 0, "{} ran more than once", run.twice);
    let left = clear(url, by).await?;
    ensure!(left == 0, "{left} are left in the queue");
    let stands = [enqueued, run];
    Ok(Run {
        rates: stands.map(|stand| count as f64 / stand.seconds),
        cpu: stands.map(|stand| stand.cpu * 1e6 / count as f64),
        growth: [enqueuer.growth_mib(), worker.growth_mib()],
    })
}

/// Deletes the queue; gives how many messages were left in it.
async fn clear(url: &str, by: Contestant) -> Result<u32> {
    let queue = match by {
        Lapin => by_hand::QUEUE,
        Lightbus => by_trait::QUEUE,
    };
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare(queue.into(), passive, FieldTable::default());
    let left = declared.await?.message_count();
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await?;
    connection.close(200, "done".into()).await?;
    Ok(left)
}

fn tell(count: u64, hand: &[Run], bus: &[Run]) {
    let ratio = |of: fn(&Run) -> f64| median(bus.iter().map(of)) / median(hand.iter().map(of));
    println!(
        "{:<9} {:>10.2} {:>10.2} {:>19.2} {:>10.2}   (of the medians)",
        "ratio",
        ratio(|run| run.rates[0]),
        ratio(|run| run.rates[1]),
        ratio(|run| run.cpu[0]),
        ratio(|run| run.cpu[1])
    );
    let growth = bus.iter().flat_map(|run| run.growth).max();
    let memory = match growth.unwrap_or_default() {
        growth if growth <= FLAT_MIB => format!("memory flat (grew by {growth} MiB at most)"),
        growth => format!("memory NOT flat: a process of lightbus grew by {growth} MiB"),
    };
    println!(
        "{count} tasks each, enqueued, run and confirmed: none lost, none twice, none left; {memory}"
    );
}
