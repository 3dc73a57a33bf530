//! One company, four apps, one day. `cargo run -p company` starts them all and tells the story.
//!
//! The apps are programs of their own: see `sales`, `spares`, `warranty` and `support` beside this package. This
//! program only builds them, starts them, sends them customers ([`day`]), and narrates what they report ([`story`]).
//! The broker is one inside this process, unless `LIGHTBUS_URL` names a RabbitMQ.

mod apps;
mod day;
mod stage;
mod story;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use lightbus::Bus;
use lightbus_broker::Broker;

const USAGE: &str = "\
Usage: cargo run -p company [-- --pace MILLISECONDS]

Plays a day in the life of a company of four programs, which talk over lightbus.

  --pace MILLISECONDS   the pause before each scene (default: 400 on a terminal, else none)

  LIGHTBUS_URL          use this RabbitMQ instead of the broker inside this program
  NO_COLOR              no colours";

/// The exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("company: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<ExitCode> {
    let Some(pace) = pace(std::env::args().skip(1))? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let programs = apps::build()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(open_and_close(&programs, pace))
}

async fn open_and_close(programs: &[apps::Program], pace: Duration) -> anyhow::Result<ExitCode> {
    // Dropping the broker ends it, so it outlives everything else in this function.
    let broker;
    let (url, place) = match std::env::var("LIGHTBUS_URL") {
        Ok(url) => (url, "on the RabbitMQ of LIGHTBUS_URL"),
        Err(_) => {
            broker = Broker::start()
                .await
                .context("the broker inside this program does not start")?;
            (broker.url(), "on the broker inside this program")
        }
    };
    let customers = Bus::builder("customers").url(&url).connect().await?;

    let mut stage = stage::Stage::build(pace)?;
    let mut company = apps::Company::hire(programs, &url, stage.journal())?;
    let day = tokio::select! {
        biased;
        signal = tokio::signal::ctrl_c() => signal.map(|()| None).map_err(Into::into),
        failure = company.someone_leaves() => Err(failure),
        day = day::play(&customers, &mut stage, place) => day.map(Some),
    };
    let home = company.send_home().await;
    customers.close().await;
    match (day?, home?) {
        (Some(()), ()) => {
            stage.sum_up()?;
            Ok(ExitCode::SUCCESS)
        }
        (None, ()) => {
            eprintln!("company: interrupted; everybody went home");
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

/// The pause before each scene, or `None` when the usage is wanted.
fn pace(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<Duration>> {
    let for_a_reader = Duration::from_millis(if std::io::stdout().is_terminal() {
        400
    } else {
        0
    });
    match (args.next().as_deref(), args.next(), args.next()) {
        (None, ..) => Ok(Some(for_a_reader)),
        (Some("-h" | "--help"), None, None) => Ok(None),
        (Some("--pace"), Some(pause), None) => {
            let pause = pause
                .parse()
                .with_context(|| format!("--pace takes milliseconds, not {pause:?}"))?;
            Ok(Some(Duration::from_millis(pause)))
        }
        _ => bail!("these arguments make no sense\n\n{USAGE}"),
    }
}
