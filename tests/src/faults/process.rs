//! Apps that are processes of their own, so that they can be killed: this program runs itself, with a hidden command.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use lightbus::Bus;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use super::api::{Faults, FaultsClient, FaultsServer, FaultsTasks, FaultsTasksServer, Happened};
use super::calls::Executions;
use super::stage::Stage;

const START: Duration = Duration::from_secs(30);
/// What a process says when it is ready. Everything else that it says is the number of a call or an event that it works on.
const READY: &str = "ready";

/// How many members the group of a flow has.
pub(super) const MEMBERS: u64 = 3;

/// What such a process does.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Role {
    /// Answers calls, four at a time
    #[command(hide = true)]
    Answer {
        /// The app's name
        app: String,
        /// The broker
        url: String,
    },
    /// Handles events, and aborts when it is handed a certain one
    #[command(hide = true)]
    Listen {
        /// The app's name
        app: String,
        /// The broker
        url: String,
        /// The event's number
        fatal: u64,
    },
    /// Works on tasks, four at a time, and aborts when it is handed a certain one
    #[command(hide = true)]
    Work {
        /// The app's name
        app: String,
        /// The broker
        url: String,
        /// The task's number
        fatal: u64,
    },
}

impl Role {
    fn arguments(&self) -> Vec<String> {
        match self {
            Self::Answer { app, url } => vec!["answer".to_owned(), app.clone(), url.clone()],
            Self::Listen { app, url, fatal } => {
                let name = "listen".to_owned();
                vec![name, app.clone(), url.clone(), fatal.to_string()]
            }
            Self::Work { app, url, fatal } => {
                let name = "work".to_owned();
                vec![name, app.clone(), url.clone(), fatal.to_string()]
            }
        }
    }

    /// Plays it, in the process that was started for it, until that one's standard input ends: with the program that started it.
    pub async fn play(self) -> anyhow::Result<()> {
        let bus = match self {
            Self::Answer { app, url } => answer(&app, url).await?,
            Self::Listen { app, url, fatal } => listen(&app, url, fatal).await?,
            Self::Work { app, url, fatal } => work(&app, url, fatal).await?,
        };
        println!("{READY}");
        tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
        bus.close().await;
        Ok(())
    }
}

async fn answer(app: &str, url: String) -> anyhow::Result<Bus> {
    let bus = Bus::builder(app).url(url).connect().await?;
    bus.serve(FaultsServer::new(Telling)).concurrency(4).await?;
    Ok(bus)
}

/// Tells what it is asked, before it answers.
struct Telling;

impl Faults for Telling {
    async fn echo(&self, n: u64, after_ms: u64) -> u64 {
        println!("{n}");
        tokio::time::sleep(Duration::from_millis(after_ms)).await;
        n
    }

    async fn look(&self, n: u64, after_ms: u64) -> u64 {
        self.echo(n, after_ms).await
    }
}

async fn listen(app: &str, url: String, fatal: u64) -> anyhow::Result<Bus> {
    let bus = Bus::builder(app).url(url).connect().await?;
    let handler = move |event: Happened| {
        println!("{}", event.n);
        if event.n == fatal {
            std::process::abort();
        }
        std::future::ready(())
    };
    FaultsClient::new(&bus)
        .happened()
        .listen("books", handler)
        .await?;
    Ok(bus)
}

async fn work(app: &str, url: String, fatal: u64) -> anyhow::Result<Bus> {
    let bus = Bus::builder(app).url(url).connect().await?;
    let server = FaultsTasksServer::new(Working { fatal });
    bus.serve(server).task_concurrency(4).await?;
    Ok(bus)
}

/// Tells what it has done.
struct Working {
    fatal: u64,
}

impl FaultsTasks for Working {
    async fn work(&self, n: u64, takes_ms: u64) {
        if n == self.fatal {
            println!("{n}");
            std::process::abort();
        }
        tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        println!("{n}");
    }

    async fn split(&self, n: u64) -> Vec<u64> {
        self.work(n, 20).await;
        (1..=MEMBERS).map(|member| n + member).collect()
    }

    async fn step(&self, n: u64, plus: u64) -> u64 {
        self.work(n + plus, 20).await;
        n + plus
    }

    async fn finish(&self, n: u64, members: Vec<u64>) -> usize {
        self.work(n, 0).await;
        members.len()
    }
}

/// An app in a process. Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// It ends with this. Not left to the child, which closes it when it is waited for.
    input: Option<ChildStdin>,
    listening: JoinHandle<()>,
}

impl Process {
    /// Starts one, and waits until it is ready or has ended. What it works on is counted in `runs`.
    pub async fn start(stage: &Stage, role: &Role, runs: &Executions) -> anyhow::Result<Self> {
        let mut child = Command::new(stage.program()?)
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let said = child.stdout.take().context("no pipe")?;
        let runs = runs.clone();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let listening = tokio::spawn(async move {
            let mut lines = BufReader::new(said).lines();
            let mut ready = Some(ready);
            while let Ok(Some(line)) = lines.next_line().await {
                match line.parse() {
                    Ok(n) => runs.add(n),
                    Err(_) => drop(ready.take().map(|ready| ready.send(()))),
                }
            }
        });
        // It may abort before it says so.
        let _ = tokio::time::timeout(START, is_ready).await?;
        let input = child.stdin.take();
        Ok(Self {
            child,
            input,
            listening,
        })
    }

    /// Waits until it has ended by itself, and all that it said has been counted.
    pub async fn ended(&mut self) -> anyhow::Result<()> {
        self.child.wait().await?;
        (&mut self.listening).await?;
        Ok(())
    }

    /// Ends it with `kill -9`.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(self.listening.await?)
    }

    /// Lets it end.
    pub async fn end(mut self) -> anyhow::Result<()> {
        drop(self.input.take());
        tokio::time::timeout(START, self.ended()).await?
    }
}
