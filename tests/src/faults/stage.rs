//! Where a row plays: a broker, the faults it can have, and the apps on it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lightbus::{Bus, BusBuilder};
use lightbus_broker::{Broker, Refusal};

use super::outcome::NotApplicable;
use crate::Foreign;
use crate::node::{Node, Version};
use crate::proxy::Proxy;

/// Heartbeats of every connection in a row, so that half-open ones are found in seconds.
pub const HEARTBEAT: Duration = Duration::from_secs(2);
/// How soon a half-open connection is lost at the latest: the app hears nothing for two heartbeats.
pub const HALF_OPEN: Duration = Duration::from_secs(5);
/// The longest pause between two attempts to connect, and a second for the attempt.
pub const BACKOFF: Duration = Duration::from_secs(11);

/// Which broker a row runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The one in this process.
    Embedded,
    /// The RabbitMQ of this machine, or its Debian.
    Debian,
    /// RabbitMQ 4.
    #[value(name = "4")]
    Four,
}

impl Kind {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Debian => "debian",
            Self::Four => "4",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::Debian, Self::Four];
}

/// How long faults last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A selection of rows, with short faults.
    Quick,
    /// All rows, with faults as long as it takes to see what comes of them.
    Usual,
    /// All rows, with minutes for what takes minutes in real life.
    Full,
}

/// A broker that rows run on, one after the other.
#[derive(Debug)]
pub struct Stage {
    kind: Kind,
    running: Running,
    pace: Pace,
    program: Option<PathBuf>,
    row: Mutex<RowOnStage>,
}

#[derive(Debug)]
enum Running {
    Embedded(Broker),
    Node(Node),
}

/// What the present row has used.
#[derive(Debug, Default)]
struct RowOnStage {
    prefix: String,
    queues: Vec<String>,
}

impl Stage {
    /// Starts the broker. A RabbitMQ takes `port`.
    pub async fn start(kind: Kind, port: u16, pace: Pace) -> anyhow::Result<Self> {
        let running = match kind {
            Kind::Embedded => Running::Embedded(Broker::start().await?),
            Kind::Debian => Running::Node(Node::start(Version::Debian, port).await?),
            Kind::Four => Running::Node(Node::start(Version::Four, port).await?),
        };
        Ok(Self {
            kind,
            running,
            pace,
            program: None,
            row: Mutex::default(),
        })
    }

    /// The program whose hidden command is an app in a process of its own, unless it is this one.
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        let program = Some(program.into());
        Self { program, ..self }
    }

    pub(super) fn program(&self) -> anyhow::Result<PathBuf> {
        match &self.program {
            Some(program) => Ok(program.clone()),
            None => Ok(std::env::current_exe()?),
        }
    }

    /// Which broker this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The broker's name and version.
    pub async fn version(&self) -> anyhow::Result<String> {
        Ok(match &self.running {
            Running::Embedded(_) => format!("embedded {}", env!("CARGO_PKG_VERSION")),
            Running::Node(node) => format!("RabbitMQ {}", node.version().await?),
        })
    }

    /// How long faults last.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The first of two durations in seconds, or at the full pace the second.
    pub fn seconds(&self, short: f64, full: f64) -> Duration {
        Duration::from_secs_f64(if self.pace == Pace::Full { full } else { short })
    }

    // ---- apps

    /// The broker's URL, with quick heartbeats.
    pub fn url(&self) -> String {
        format!("{}?heartbeat={}", self.plain_url(), HEARTBEAT.as_secs())
    }

    fn plain_url(&self) -> String {
        match &self.running {
            Running::Embedded(broker) => broker.url(),
            Running::Node(node) => node.url(),
        }
    }

    /// A proxy before the broker.
    pub async fn proxy(&self) -> anyhow::Result<Proxy> {
        Proxy::start(&self.url()).await
    }

    /// Settings of a bus for an app of this row.
    pub fn app(&self, app: &str, url: impl Into<String>) -> BusBuilder {
        Bus::builder(&self.app_name(app)).url(url)
    }

    /// The name that an app has in this row.
    pub fn app_name(&self, app: &str) -> String {
        format!("{}{app}", self.row().prefix)
    }

    /// Another AMQP client, that knows nothing of lightbus.
    pub async fn foreign(&self) -> anyhow::Result<Foreign> {
        Foreign::connect(&self.plain_url()).await
    }

    // ---- rows

    fn row(&self) -> std::sync::MutexGuard<'_, RowOnStage> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a row: its apps have names of their own, that begin with this.
    pub(super) fn begin(&self, prefix: impl Into<String>) {
        *self.row() = RowOnStage {
            prefix: prefix.into(),
            queues: Vec::new(),
        };
    }

    /// Notes a queue that the row leaves behind.
    pub fn leaves(&self, queue: impl Into<String>) {
        self.row().queues.push(queue.into());
    }

    /// Ends every fault, and deletes what the row has left behind.
    pub(super) async fn end(&self) -> anyhow::Result<()> {
        if let Running::Embedded(broker) = &self.running {
            broker.faults().clear();
            broker.unblock_publishers();
        }
        let queues = std::mem::take(&mut self.row().queues);
        let foreign = self.foreign().await?;
        for queue in queues {
            foreign.delete_queue(&queue).await?;
        }
        Ok(())
    }

    // ---- faults

    fn node(&self, why_not: &'static str) -> anyhow::Result<&Node> {
        match &self.running {
            Running::Node(node) => Ok(node),
            Running::Embedded(_) => Err(NotApplicable(why_not).into()),
        }
    }

    /// The embedded broker, if that is what this is.
    pub fn embedded(&self) -> Option<&Broker> {
        match &self.running {
            Running::Embedded(broker) => Some(broker),
            Running::Node(_) => None,
        }
    }

    /// An embedded broker beside this one, on which deliveries time out.
    pub async fn embedded_beside(&self, limit: Duration) -> anyhow::Result<Self> {
        let broker = Broker::builder().consumer_timeout(limit).start().await?;
        Ok(Self {
            kind: Kind::Embedded,
            running: Running::Embedded(broker),
            pace: self.pace,
            program: self.program.clone(),
            row: Mutex::default(),
        })
    }

    /// Ends the broker with `kill -9`.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let why_not = "it lives in this process, and in memory";
        self.node(why_not)?.kill().await
    }

    /// Brings back what [`kill`](Self::kill) ended; returns when it is ready.
    pub async fn restart(&self) -> anyhow::Result<()> {
        let why_not = "it lives in this process, and in memory";
        self.node(why_not)?.restart().await
    }

    /// Stops the broker as an operator does. What is durable stays.
    pub async fn stop(&self) -> anyhow::Result<()> {
        match &self.running {
            Running::Node(node) => node.stop_app().await,
            Running::Embedded(broker) => {
                broker.faults().refuse_connections(Refusal::Closed);
                broker.faults().restart();
                Ok(())
            }
        }
    }

    /// Starts the broker that [`stop`](Self::stop) stopped; returns when it is up.
    pub async fn resume(&self) -> anyhow::Result<()> {
        match &self.running {
            Running::Node(node) => node.start_app().await,
            Running::Embedded(broker) => {
                broker.faults().admit_connections();
                Ok(())
            }
        }
    }

    /// Closes every connection as an operator does.
    pub async fn close_connections(&self) -> anyhow::Result<()> {
        match &self.running {
            Running::Node(node) => node.close_connections("maintenance").await,
            Running::Embedded(broker) => {
                let text = "CONNECTION_FORCED - maintenance";
                for connection in broker.snapshot().connections {
                    let name = connection.name.unwrap_or_default();
                    broker.faults().close_connection(&name, 320, text);
                }
                Ok(())
            }
        }
    }

    /// Raises a memory alarm.
    pub async fn alarm_on(&self) -> anyhow::Result<()> {
        match &self.running {
            Running::Node(node) => node.alarm_on().await,
            Running::Embedded(broker) => {
                broker.block_publishers("low on memory");
                Ok(())
            }
        }
    }

    /// Ends the memory alarm.
    pub async fn alarm_off(&self) -> anyhow::Result<()> {
        match &self.running {
            Running::Node(node) => node.alarm_off().await,
            Running::Embedded(broker) => {
                broker.unblock_publishers();
                Ok(())
            }
        }
    }

    /// Deletes a queue, whoever uses it.
    pub async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        match &self.running {
            Running::Node(node) => node.delete_queue(queue).await,
            Running::Embedded(broker) => {
                broker.faults().delete_queue(queue);
                Ok(())
            }
        }
    }

    /// The node, for what only a RabbitMQ has.
    pub fn rabbitmq(&self, why_not: &'static str) -> anyhow::Result<&Node> {
        self.node(why_not)
    }
}
