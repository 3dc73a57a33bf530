//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::scenarios::SCENARIOS;

/// Compares lightbus with two programs written by hand on lapin: the same work, in one run, alternating.
///
/// Client and server are processes of their own. The broker is LIGHTBUS_URL's, else the embedded one.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) hidden: Option<Hidden>,
    #[command(flatten)]
    pub(crate) options: Options,
}

/// What the program starts itself as.
#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// One side of a scenario.
    #[command(hide = true)]
    Side {
        /// What to do, as JSON.
        assignment: String,
    },
}

/// What a run measures, and how.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// One short round: shows that everything works, measures nothing worth quoting
    #[arg(long)]
    pub(crate) quick: bool,
    /// Only this scenario, or the family of that name (`call`, `publish` …); may be given several times
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Only these contestants; `tuned-two` is `tuned` on two connections, as lightbus has
    #[arg(long = "contestant", value_enum, value_name = "NAME")]
    contestants: Vec<Contestant>,
    /// Rounds; each runs every contestant once [default: 5, quick: 1]
    #[arg(long)]
    rounds: Option<usize>,
    /// How long a contestant is measured in each round of a timed scenario [default: 2, quick: 0.3]
    #[arg(long)]
    seconds: Option<f64>,
    /// The tokio runtime of all contestants
    #[arg(long, value_enum, default_value = "multi")]
    pub(crate) runtime: Flavour,
    /// Print JSON instead of a table: every round, and the summary
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the names of the scenarios and end
    #[arg(long)]
    pub(crate) list: bool,
}

/// Who does the work.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contestant {
    /// lapin as its documentation shows it
    Documented,
    /// lapin by someone who knows its costs
    Tuned,
    /// the same, but publishing and consuming on a connection each
    TunedTwo,
    /// the trait
    Lightbus,
}

impl Contestant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Tuned => "tuned",
            Self::TunedTwo => "tuned-two",
            Self::Lightbus => "lightbus",
        }
    }
}

/// A tokio runtime.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Flavour {
    /// what `#[tokio::main]` gives: a worker for each core
    Multi,
    /// one thread
    Current,
}

impl Options {
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 1 } else { 5 }).max(1)
    }

    pub(crate) fn duration(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(if self.quick { 0.3 } else { 2.0 });
        Duration::from_secs_f64(seconds.clamp(0.05, 600.0))
    }

    /// How much of a scenario's fixed number of messages to send.
    pub(crate) fn share(&self, messages: u64) -> u64 {
        if self.quick {
            (messages / 10).max(1)
        } else {
            messages
        }
    }

    pub(crate) fn contestants(&self) -> Vec<Contestant> {
        if self.contestants.is_empty() {
            return vec![
                Contestant::Documented,
                Contestant::Tuned,
                Contestant::Lightbus,
            ];
        }
        let mut chosen = self.contestants.clone();
        chosen.sort();
        chosen.dedup();
        chosen
    }

    pub(crate) fn wants(&self, scenario: &str) -> bool {
        self.scenarios.is_empty() || self.scenarios.iter().any(|wanted| is(scenario, wanted))
    }

    /// One that was asked for and does not exist.
    pub(crate) fn unknown_scenario(&self) -> Option<&str> {
        let unknown =
            |wanted: &&String| !SCENARIOS.iter().any(|scenario| is(scenario.name, wanted));
        self.scenarios.iter().find(unknown).map(String::as_str)
    }
}

/// Is this the scenario, or its family?
fn is(scenario: &str, wanted: &str) -> bool {
    scenario
        .strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
