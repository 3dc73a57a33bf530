//! What is measured: one file for each kind of scenario.

use std::time::Duration;

use anyhow::Result;
use lapin::Connection;
use serde::Serialize;

use crate::args::{Contestant, Options};
use crate::contestants::topology::{Names, delete};
use crate::side::{Assignment, Role};

mod calls;
mod consumption;
mod fan_out;
mod publishing;

/// How long a side may take for something that is not timed.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many events may be unconfirmed, unless they are large.
const WINDOW: usize = 1000;

/// One line of the table, for each contestant.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Calls { in_flight: usize, size: usize },
    Publishing { size: usize, window: usize },
    Consumption { messages: u64 },
    FanOut { listeners: usize, deliveries: u64 },
}

/// 100 bytes, 10 KB, 1 MB.
const SMALL: usize = 100;
const MEDIUM: usize = 10_000;
const LARGE: usize = 1_000_000;

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "call-1",
        about: "calls, one at a time, 100 B",
        kind: Kind::Calls {
            in_flight: 1,
            size: SMALL,
        },
    },
    Scenario {
        name: "call-64",
        about: "calls, 64 in flight, 100 B",
        kind: Kind::Calls {
            in_flight: 64,
            size: SMALL,
        },
    },
    Scenario {
        name: "call-512",
        about: "calls, 512 in flight, 100 B",
        kind: Kind::Calls {
            in_flight: 512,
            size: SMALL,
        },
    },
    Scenario {
        name: "call-10kb",
        about: "calls, 64 in flight, 10 KB",
        kind: Kind::Calls {
            in_flight: 64,
            size: MEDIUM,
        },
    },
    Scenario {
        name: "call-1mb",
        about: "calls, 8 in flight, 1 MB",
        kind: Kind::Calls {
            in_flight: 8,
            size: LARGE,
        },
    },
    Scenario {
        name: "publish-100b",
        about: "confirmed publishing, window 1000, 100 B",
        kind: Kind::Publishing {
            size: SMALL,
            window: WINDOW,
        },
    },
    Scenario {
        name: "publish-10kb",
        about: "confirmed publishing, window 1000, 10 KB",
        kind: Kind::Publishing {
            size: MEDIUM,
            window: WINDOW,
        },
    },
    Scenario {
        name: "publish-1mb",
        about: "confirmed publishing, window 32, 1 MB",
        kind: Kind::Publishing {
            size: LARGE,
            window: 32,
        },
    },
    Scenario {
        name: "consume",
        about: "a pre-filled queue, 100 B",
        kind: Kind::Consumption { messages: 50_000 },
    },
    Scenario {
        name: "fan-out-1",
        about: "publishing while one listener consumes, 100 B",
        kind: Kind::FanOut {
            listeners: 1,
            deliveries: 40_000,
        },
    },
    Scenario {
        name: "fan-out-10",
        about: "the same with 10 listeners; rate of deliveries",
        kind: Kind::FanOut {
            listeners: 10,
            deliveries: 80_000,
        },
    },
    Scenario {
        name: "fan-out-100",
        about: "the same with 100 listeners; rate of deliveries",
        kind: Kind::FanOut {
            listeners: 100,
            deliveries: 80_000,
        },
    },
];

/// What one contestant did in one round.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// Calls, events or deliveries a second.
    pub(crate) per_second: f64,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    /// Processor time for each message: of the process that calls or publishes …
    pub(crate) client_cpu_us: Option<f64>,
    /// … and of the one that serves or listens.
    pub(crate) server_cpu_us: Option<f64>,
}

impl Sample {
    /// Both sides together.
    pub(crate) fn cpu_us(&self) -> Option<f64> {
        match (self.client_cpu_us, self.server_cpu_us) {
            (None, None) => None,
            (client, server) => Some(client.unwrap_or(0.0) + server.unwrap_or(0.0)),
        }
    }
}

/// One measurement: a contestant in a round of a scenario.
pub(crate) struct Cell<'a> {
    pub(crate) options: &'a Options,
    pub(crate) url: &'a str,
    pub(crate) cleaner: &'a Connection,
    pub(crate) contestant: Contestant,
    /// Unlike that of any other measurement.
    pub(crate) prefix: String,
}

impl Cell<'_> {
    /// Measures, then deletes what was declared, also after a failure.
    pub(crate) async fn measure(&self, scenario: &Scenario) -> Result<Sample> {
        let sample = match scenario.kind {
            Kind::Calls { in_flight, size } => calls::measure(self, in_flight, size).await,
            Kind::Publishing { size, window } => publishing::measure(self, size, window).await,
            Kind::Consumption { messages } => {
                consumption::measure(self, self.options.share(messages)).await
            }
            Kind::FanOut {
                listeners,
                deliveries,
            } => fan_out::measure(self, listeners, self.options.share(deliveries)).await,
        };
        let cleaned = self.clean(scenario.listeners()).await;
        let sample = sample?;
        cleaned?;
        Ok(sample)
    }

    fn assignment(&self, size: usize, role: Role) -> Assignment {
        Assignment {
            contestant: self.contestant,
            runtime: self.options.runtime,
            url: self.url.to_owned(),
            prefix: self.prefix.clone(),
            size,
            role,
        }
    }

    async fn clean(&self, listeners: usize) -> Result<()> {
        let channel = self.cleaner.create_channel().await?;
        Names::new(&self.prefix).delete(&channel, listeners).await?;
        if self.contestant == Contestant::Lightbus {
            let queues: Vec<_> = (0..listeners)
                .map(|number| lightbus_listener_queue(&self.prefix, number))
                .flat_map(|name| [format!("{name}.dead"), name])
                .collect();
            delete(&channel, &queues, &[]).await?;
        }
        channel.close(200, "done".into()).await?;
        Ok(())
    }
}

impl Scenario {
    fn listeners(&self) -> usize {
        match self.kind {
            Kind::Calls { .. } => 0,
            Kind::Publishing { .. } | Kind::Consumption { .. } => 1,
            Kind::FanOut { listeners, .. } => listeners,
        }
    }
}

/// The name of a listener of the trait's contestant.
pub(crate) fn lightbus_listener(prefix: &str, number: usize) -> String {
    format!("{prefix}-{number}")
}

/// The app that listens.
pub(crate) const LISTENING_APP: &str = "bench-listener";

fn lightbus_listener_queue(prefix: &str, number: usize) -> String {
    format!("lb.q.{LISTENING_APP}.{}", lightbus_listener(prefix, number))
}

/// Microseconds for each message.
fn each(cpu_us: u64, messages: u64) -> Option<f64> {
    (messages > 0).then(|| cpu_us as f64 / messages as f64)
}
