//! Many tasks: enqueued, run and acknowledged, by lightbus and by a program written by hand on lapin, on the same broker.
//!
//! ```text
//! cargo run --release -p lightbus-benches --bin tasks                        a million on the embedded broker
//! LIGHTBUS_URL=amqp://… cargo run --release -p lightbus-benches --bin tasks -- --count 100000 --rounds 3
//! ```
//!
//! Both enqueue persistent messages into a quorum queue and wait for every confirmation, a thousand at a time; both decode the arguments, and acknowledge in
//! multiples. Enqueuer and worker are processes of their own. A task that is lost, run twice or left in its queue is an error.

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use lightbus_broker::Broker;

mod by_hand;
mod by_trait;
mod comparison;
mod process;
mod tally;

/// For a million tasks at once, in the embedded broker.
const MEMORY: usize = 4 << 30;

/// Many tasks, by lightbus and by hand.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

/// What is compared.
#[derive(Debug, Args)]
struct Options {
    /// How many tasks each contestant enqueues and runs.
    #[arg(long, default_value_t = 1_000_000)]
    count: u64,
    /// How often each of them does so, in turns.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
}

/// One process of a contestant. What it has to do it is told by its environment: BENCH_URL, BENCH_TASKS, BENCH_PREFETCH, and for a worker BENCH_TALLY,
/// a file in which it marks each task that has run (optional).
#[derive(Debug, Subcommand)]
enum Part {
    /// Enqueues all tasks, and ends.
    Enqueue {
        by: Contestant,
        /// Waits for each confirmation before the next task.
        #[arg(long)]
        one_by_one: bool,
    },
    /// Works on tasks, until SIGTERM.
    Work { by: Contestant },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Contestant {
    Lapin,
    Lightbus,
}

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Self::Lapin => "lapin",
            Self::Lightbus => "lightbus",
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.part {
        None => compare(&cli.options).await,
        Some(Part::Enqueue { by, one_by_one }) => {
            let job = tally::Job::from_environment()?;
            let together = if one_by_one { 1 } else { tally::TOGETHER };
            match by {
                Contestant::Lapin => by_hand::enqueue(&job, together).await,
                Contestant::Lightbus => by_trait::enqueue(&job, together).await,
            }
        }
        Some(Part::Work { by }) => {
            let job = tally::Job::from_environment()?;
            match by {
                Contestant::Lapin => by_hand::work(&job).await,
                Contestant::Lightbus => by_trait::work(&job).await,
            }
        }
    }
}

async fn compare(options: &Options) -> Result<()> {
    let embedded;
    let url = match std::env::var("LIGHTBUS_URL") {
        Ok(url) => url,
        Err(_) => {
            embedded = Broker::builder().memory_limit(MEMORY).start().await?;
            embedded.url()
        }
    };
    comparison::run(&url, options.count, options.rounds).await
}
