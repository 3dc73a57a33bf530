//! A studio whose pictures are resized by workers in other processes. `cargo run -p image-worker` shows what tasks are: progress, retries, dead letters, a schedule.
//!
//! The contract is in [`api`], the worker in `worker` and `darkroom`, the app that enqueues in `story` (with `order`, `broken` and `nights`). The broker is one
//! inside this process, unless `LIGHTBUS_URL` names a RabbitMQ.

pub mod api;
mod board;
mod broken;
mod crew;
mod darkroom;
mod draw;
mod look;
mod nights;
mod order;
mod storage;
mod story;
mod tally;
mod worker;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use lightbus::Bus;
use lightbus_broker::Broker;
use tracing_subscriber::EnvFilter;

use api::StudioApiClient;
use crew::Crew;
use look::Look;
use storage::Storage;
use story::{App, Pace};
use tally::Tally;

/// How many processes work.
const WORKERS: usize = 2;

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Pictures, resized by workers in processes of their own: a story of tasks, retries, dead letters and a schedule.
///
/// LIGHTBUS_URL names a RabbitMQ to run on, instead of the broker inside this program. NO_COLOR: no colours.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    /// Smaller pictures, shorter nights, no pauses.
    #[arg(long)]
    quick: bool,
    /// Keeps the pictures in this folder, which must be new or empty. Default: a temporary one, deleted at the end.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Works on the studio's tasks until Ctrl-C: one more worker, beside those that a run starts by itself.
    Work {
        /// Where a run keeps its pictures.
        folder: PathBuf,
        /// Ends when the standard input does.
        #[arg(long, hide = true)]
        hired: bool,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("image-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode> {
    if std::env::var_os("RUST_LOG").is_some() {
        let log = tracing_subscriber::fmt().with_writer(std::io::stderr);
        log.with_env_filter(EnvFilter::from_default_env()).init();
    }
    if let Some(Command::Work { folder, hired }) = cli.command {
        worker::work(&folder, hired).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // Deleted when it is dropped.
    let temporary;
    let folder = match &cli.keep {
        Some(folder) => folder.as_path(),
        None => {
            temporary = tempfile::Builder::new().prefix("image-worker-").tempdir()?;
            temporary.path()
        }
    };
    // Dropping the broker ends it, so it outlives all that is on it.
    let broker;
    let (url, place) = match std::env::var("LIGHTBUS_URL") {
        Ok(url) => (url, "the RabbitMQ of LIGHTBUS_URL"),
        Err(_) => {
            let started = Broker::start().await;
            broker = started.context("the broker inside this program does not start")?;
            (broker.url(), "the broker inside this program")
        }
    };
    let look = Look::of_stdout();
    look.title(&format!("A picture studio, on {place}"));
    let Some(tally) = open_and_close(&url, folder, look, pace(cli.quick)).await? else {
        eprintln!("image-worker: interrupted; all workers have ended");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    tally.sum_up(look, &Storage::open(folder)?)?;
    match &cli.keep {
        Some(folder) => look.tell("kept", folder.display()),
        None => look.tell("kept", "none, without `--keep FOLDER`"),
    }
    println!();
    Ok(ExitCode::SUCCESS)
}

fn pace(quick: bool) -> Pace {
    match quick {
        true => Pace {
            picture: (960, 640),
            night: Duration::from_millis(400),
            pause: Duration::ZERO,
        },
        false => Pace {
            picture: (1800, 1200),
            night: Duration::from_secs(2),
            pause: Duration::from_secs(1),
        },
    }
}

/// Plays the story; `None` if Ctrl-C ended it.
async fn open_and_close(url: &str, folder: &Path, look: Look, pace: Pace) -> Result<Option<Tally>> {
    let storage = Storage::create(folder)?;
    let bus = Bus::builder("studio").url(url).connect().await?;
    let app = App {
        studio: StudioApiClient::new(&bus),
        bus,
        storage,
        pace,
        look,
    };
    let mut crew = Crew::hire(WORKERS, url, folder)?;
    look.tell("app", "hands out work, and does none");
    look.tell("workers", format!("{WORKERS}, in processes of their own"));
    let played = tokio::select! {
        biased;
        signal = tokio::signal::ctrl_c() => signal.map(|()| None).map_err(Into::into),
        failure = crew.someone_leaves() => Err(failure),
        tally = story::play(&app) => tally.map(Some),
    };
    let home = crew.send_home().await;
    app.bus.close().await;
    let tally = played?;
    home?;
    Ok(tally)
}
