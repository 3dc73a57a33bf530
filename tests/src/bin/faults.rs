//! Runs the fault matrix; see the library's module `faults`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lightbus_tests::faults::process::Role;
use lightbus_tests::faults::report::{Report, Summary};
use lightbus_tests::faults::soak::soak;
use lightbus_tests::faults::stage::{Kind, Pace, Stage};
use lightbus_tests::faults::{Row, rows};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Makes go wrong what goes wrong in production, and counts what is lost.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true)]
struct Arguments {
    /// What this process does for another one of this program, that makes the faults
    #[command(subcommand)]
    role: Option<Role>,
    /// Only a selection of rows, with short faults
    #[arg(long, conflicts_with = "full")]
    quick: bool,
    /// Faults as long as in real life: over an hour
    #[arg(long)]
    full: bool,
    /// Which broker, may be repeated; all three if not given, as far as they can be had
    #[arg(long, value_name = "BROKER")]
    broker: Vec<Kind>,
    /// Which row, by its number, may be repeated
    #[arg(long, value_name = "N")]
    row: Vec<u8>,
    /// Instead of rows: everything at once, at random, for so many minutes, 10 if none are given
    #[arg(long, value_name = "MINUTES", num_args = 0..=1, default_missing_value = "10", conflicts_with_all = ["row", "quick", "full"])]
    soak: Option<f64>,
    /// Makes the soak's faults come in the order of an earlier run
    #[arg(long, requires = "soak")]
    seed: Option<u64>,
    /// Print JSON to the standard output, and everything else to the standard error
    #[arg(long)]
    json: bool,
    /// The AMQP port of RabbitMQ; RabbitMQ 4 takes ten more
    #[arg(long, default_value_t = 5763)]
    port: u16,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    log();
    let arguments = Arguments::parse();
    if let Some(role) = arguments.role {
        role.play().await?;
        return Ok(ExitCode::SUCCESS);
    }
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    // A broker ends with its stage: whoever is interrupted leaves none behind.
    tokio::select! {
        ended = run(arguments) => ended,
        _ = interrupt.recv() => Ok(ExitCode::from(130)),
        _ = terminate.recv() => Ok(ExitCode::from(143)),
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let passed = match arguments.soak {
        Some(minutes) => soaks(&arguments, minutes).await?,
        None => matrix(&arguments).await?,
    };
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn soaks(arguments: &Arguments, minutes: f64) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    let lasts = Duration::try_from_secs_f64(60.0 * minutes)?;
    let mut passed = true;
    for kind in arguments.brokers() {
        eprintln!("soak on {} for {minutes} min, --seed {seed}", kind.name());
        let stage = Stage::start(kind, arguments.port_of(kind), Pace::Usual).await?;
        let soaked = soak(&stage, lasts, seed).await?;
        passed &= soaked.outcome.passed();
        match arguments.json {
            true => println!("{}", serde_json::to_string(&soaked)?),
            false => println!("{soaked}"),
        }
    }
    Ok(passed)
}

async fn matrix(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut printer = Printer::new(arguments.json);
    printer.line(&Report::head());
    let selected = arguments.rows();
    let mut reports = Vec::new();
    for kind in arguments.brokers() {
        printer.progress(&format!("starting {}", kind.name()));
        match Stage::start(kind, arguments.port_of(kind), arguments.pace()).await {
            Ok(stage) => play(&stage, &selected, &mut printer, &mut reports).await,
            Err(error) if arguments.broker.is_empty() => {
                printer.line(&format!(
                    "     {} cannot be had here: {error:#}",
                    kind.name()
                ));
            }
            Err(error) => return Err(error),
        }
    }
    let summary = Summary::of(&reports);
    printer.end(&reports, summary)?;
    Ok(summary.passed() && summary.rows > 0)
}

/// Silent unless `RUST_LOG` asks: what goes wrong here is meant to.
fn log() {
    let asked = std::env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned());
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(asked))
        .with_writer(std::io::stderr)
        .init();
}

async fn play(stage: &Stage, rows: &[Row], printer: &mut Printer, reports: &mut Vec<Report>) {
    for row in rows {
        printer.progress(&format!(
            "{} on {}: {}",
            row.number,
            stage.kind().name(),
            row.fault
        ));
        let report = row.run(stage).await;
        printer.line(&report.to_string());
        reports.push(report);
    }
}

impl Arguments {
    fn brokers(&self) -> Vec<Kind> {
        if self.broker.is_empty() {
            return Kind::ALL.to_vec();
        }
        self.broker.clone()
    }

    fn rows(&self) -> Vec<Row> {
        let wanted = |row: &Row| {
            if self.row.is_empty() {
                row.quick || !self.quick
            } else {
                self.row.contains(&row.number)
            }
        };
        rows().into_iter().filter(wanted).collect()
    }

    fn pace(&self) -> Pace {
        match (self.quick, self.full) {
            (true, _) => Pace::Quick,
            (_, true) => Pace::Full,
            _ => Pace::Usual,
        }
    }

    fn port_of(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Four => self.port.saturating_add(10),
            _ => self.port,
        }
    }
}

/// Where the table, and the progress on a terminal, go.
struct Printer {
    json: bool,
    terminal: bool,
}

impl Printer {
    fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { json, terminal }
    }

    fn line(&mut self, line: &str) {
        self.progress("");
        if self.json {
            eprintln!("{line}");
        } else {
            println!("{line}");
        }
    }

    /// What runs now, overwritten by what comes next.
    fn progress(&mut self, what: &str) {
        if self.terminal {
            eprint!("\r\x1b[K{what}");
            let _ = std::io::stderr().flush();
        }
    }

    fn end(&mut self, reports: &[Report], summary: Summary) -> anyhow::Result<()> {
        if self.json {
            let all = serde_json::json!({ "reports": reports, "summary": summary });
            println!("{all:#}");
        }
        self.line(&summary.to_string());
        Ok(())
    }
}
