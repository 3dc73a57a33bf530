//! What a run found: medians, ratios, the table.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::args::Contestant;
use crate::meter::median;
use crate::scenarios::{Sample, Scenario};

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Findings {
    pub(crate) broker: String,
    pub(crate) runtime: String,
    pub(crate) cores: usize,
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) scenarios: Vec<Outcome>,
}

/// One scenario.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    name: &'static str,
    about: &'static str,
    contestants: BTreeMap<Contestant, Standing>,
}

/// One contestant in one scenario.
#[derive(Debug, Serialize)]
struct Standing {
    median: Sample,
    /// Medians of the ratios within each round: drift of the machine hits both alike.
    to_tuned: Option<Ratios>,
    to_documented: Option<Ratios>,
    /// In the order of the rounds; `null` where it failed.
    rounds: Vec<Option<Sample>>,
}

#[derive(Debug, Serialize)]
struct Ratios {
    per_second: f64,
    p50_us: Option<f64>,
    cpu_us: Option<f64>,
}

impl Outcome {
    pub(crate) fn new(
        scenario: &Scenario,
        rounds: &BTreeMap<Contestant, Vec<Option<Sample>>>,
    ) -> Self {
        let contestants = rounds
            .iter()
            .map(|(&contestant, samples)| {
                let to = |other| {
                    rounds
                        .get(&other)
                        .filter(|_| other != contestant)
                        .and_then(|other| ratios(samples, other))
                };
                let standing = Standing {
                    median: middle(samples),
                    to_tuned: to(Contestant::Tuned),
                    to_documented: to(Contestant::Documented),
                    rounds: samples.clone(),
                };
                (contestant, standing)
            })
            .collect();
        Self {
            name: scenario.name,
            about: scenario.about,
            contestants,
        }
    }
}

fn middle(samples: &[Option<Sample>]) -> Sample {
    let of = |field: fn(&Sample) -> Option<f64>| {
        let value = median(samples.iter().flatten().filter_map(field));
        value.is_finite().then_some(value)
    };
    Sample {
        per_second: of(|sample| Some(sample.per_second)).unwrap_or(0.0),
        p50_us: of(|sample| sample.p50_us),
        p99_us: of(|sample| sample.p99_us),
        client_cpu_us: of(|sample| sample.client_cpu_us),
        server_cpu_us: of(|sample| sample.server_cpu_us),
    }
}

fn ratios(samples: &[Option<Sample>], others: &[Option<Sample>]) -> Option<Ratios> {
    let of = |field: fn(&Sample) -> Option<f64>| {
        let pairs = samples.iter().zip(others).filter_map(|(one, other)| {
            let (one, other) = (field(one.as_ref()?)?, field(other.as_ref()?)?);
            (other > 0.0).then_some(one / other)
        });
        let value = median(pairs);
        value.is_finite().then_some(value)
    };
    Some(Ratios {
        per_second: of(|sample| Some(sample.per_second))?,
        p50_us: of(|sample| sample.p50_us),
        cpu_us: of(Sample::cpu_us),
    })
}

impl Findings {
    /// A table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut rows = vec![
            [
                "scenario",
                "contestant",
                "per second",
                "× tuned",
                "× documented",
                "p50 µs",
                "× tuned",
                "p99 µs",
                "client CPU µs",
                "server CPU µs",
                "CPU × tuned",
            ]
            .map(str::to_owned),
        ];
        for outcome in &self.scenarios {
            for (contestant, standing) in &outcome.contestants {
                let Standing {
                    median,
                    to_tuned,
                    to_documented,
                    ..
                } = standing;
                let tuned = |field: fn(&Ratios) -> Option<f64>| to_tuned.as_ref().and_then(field);
                rows.push([
                    outcome.name.to_owned(),
                    contestant.name().to_owned(),
                    if median.per_second > 0.0 {
                        thousands(median.per_second)
                    } else {
                        "failed".to_owned()
                    },
                    number(tuned(|to| Some(to.per_second)), 2),
                    number(to_documented.as_ref().map(|to| to.per_second), 2),
                    number(median.p50_us, 0),
                    number(tuned(|to| to.p50_us), 2),
                    number(median.p99_us, 0),
                    number(median.client_cpu_us, 1),
                    number(median.server_cpu_us, 1),
                    number(tuned(|to| to.cpu_us), 2),
                ]);
            }
        }
        let mut text = format!(
            "Broker: {}. {} cores, {} round{} of {} s, tokio's {} runtime. Medians; ratios are medians of the ratios within each round.\n\
             CPU: processor time for each call, event or delivery. Client: the process that calls or publishes; server: the one that serves or listens.\n\n",
            self.broker,
            self.cores,
            self.rounds,
            if self.rounds == 1 { "" } else { "s" },
            self.seconds,
            self.runtime,
        );
        text.push_str(&aligned(&rows));
        text.push('\n');
        for outcome in &self.scenarios {
            let _ = writeln!(text, "{}: {}", outcome.name, outcome.about);
        }
        text
    }
}

/// The rows as a Markdown table; the first is the heading, the first two columns are text.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = if column < 2 {
                write!(text, "| {cell:<width$} ")
            } else {
                write!(text, "| {cell:>width$} ")
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let _ = if column < 2 {
                    write!(text, "|{:-<w$}", "", w = width + 2)
                } else {
                    write!(text, "|{:-<w$}:", "", w = width + 1)
                };
            }
            text.push_str("|\n");
        }
    }
    text
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(
        || "–".to_owned(),
        |value| {
            if value >= 1000.0 {
                thousands(value)
            } else {
                format!("{value:.decimals$}")
            }
        },
    )
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
