//! One side of a measurement, in a process of its own: what runs there, and how the frame talks to it.
//!
//! The frame writes a word a line to the side's standard input, and the side answers with a line of JSON on its standard
//! output. It ends when its input ends: so no side outlives the frame, whatever becomes of that.

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lapin::Connection;
use lightbus::Bus;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use crate::args::{Contestant, Flavour};
use crate::contestants::topology::Names;
use crate::contestants::{Caller, Plan, Publisher, Tally, WARM_UP, by_trait, documented, tuned};
use crate::meter::{cpu_us, now_us, per_second, percentile};
use crate::work::body;

/// How long a side may take to close its connections.
const CLOSING: Duration = Duration::from_secs(5);

/// What one side does.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Assignment {
    pub(crate) contestant: Contestant,
    pub(crate) runtime: Flavour,
    pub(crate) url: String,
    /// What the names of this measurement start with: letters, digits and `-`.
    pub(crate) prefix: String,
    /// Bytes of text in each message.
    pub(crate) size: usize,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Role {
    /// Answers calls.
    Serve,
    /// Calls for a while, so many at a time.
    Call {
        in_flight: usize,
        warm_up: Duration,
        measured: Duration,
    },
    /// Listens until so many deliveries have been handled.
    Listen { listeners: usize, expected: u64 },
    /// Publishes.
    Publish(Plan),
}

/// What a side tells the frame.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Report {
    /// Connected.
    Ready,
    /// Warmed up: from here on it counts.
    Started,
    /// The listeners' queues exist and are consumed.
    Listening,
    /// Processor time and messages handled so far.
    Mark {
        cpu_us: u64,
        handled: u64,
    },
    Called {
        per_second: f64,
        calls: u64,
        cpu_us: u64,
        p50_us: f64,
        p99_us: f64,
    },
    Published {
        events: u64,
        started_us: u64,
        elapsed: Duration,
        cpu_us: u64,
    },
    /// With the processor time since before the queues were declared, and since after.
    Handled {
        first_us: u64,
        last_us: u64,
        cpu_us: u64,
        cpu_listening_us: u64,
    },
    Failed {
        error: String,
    },
}

// ---- inside the side -------------------------------------------------------------------------------------------

/// Does what it was assigned, and ends with the input.
pub(crate) fn run(assignment: &str) -> Result<()> {
    let assignment: Assignment = serde_json::from_str(assignment).context("not an assignment")?;
    let commands = read_commands();
    let mut runtime = match assignment.runtime {
        Flavour::Multi => tokio::runtime::Builder::new_multi_thread(),
        Flavour::Current => tokio::runtime::Builder::new_current_thread(),
    };
    let done = runtime
        .enable_all()
        .build()?
        .block_on(play(&assignment, commands));
    if let Err(error) = done {
        failed(&error);
    }
    Ok(())
}

/// A word a line. After the end of the input there is little time left.
fn read_commands() -> mpsc::UnboundedReceiver<String> {
    let (sender, commands) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
        drop(sender);
        std::thread::sleep(CLOSING);
        std::process::exit(1);
    });
    commands
}

fn tell(report: &Report) {
    let mut out = std::io::stdout().lock();
    // Without a frame to read it there is nobody to tell.
    let _ = serde_json::to_writer(&mut out, report)
        .map_err(std::io::Error::from)
        .and_then(|()| writeln!(out));
    let _ = out.flush();
}

/// Tells the frame that this side cannot go on, and ends.
pub(crate) fn failed(error: &anyhow::Error) -> ! {
    tell(&Report::Failed {
        error: format!("{error:#}"),
    });
    std::process::exit(1);
}

async fn play(
    assignment: &Assignment,
    mut commands: mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    let Assignment {
        contestant,
        url,
        size,
        ..
    } = assignment;
    let names = &Names::new(&assignment.prefix);
    let two = *contestant == Contestant::TunedTwo;
    let body = body(*size);
    match assignment.role {
        Role::Serve => serve(assignment, names, two, commands).await,
        Role::Listen {
            listeners,
            expected,
        } => listen(assignment, names, listeners, expected, commands).await,
        Role::Call {
            in_flight,
            warm_up,
            measured,
        } => {
            let timing = (in_flight, warm_up, measured);
            match contestant {
                Contestant::Documented => {
                    call(
                        documented::Calls::new(url, names).await?,
                        body,
                        timing,
                        commands,
                    )
                    .await
                }
                Contestant::Tuned | Contestant::TunedTwo => {
                    call(
                        tuned::Calls::new(url, two, names).await?,
                        body,
                        timing,
                        commands,
                    )
                    .await
                }
                Contestant::Lightbus => {
                    call(by_trait::Calls::new(url).await?, body, timing, commands).await
                }
            }
        }
        Role::Publish(plan) => match contestant {
            Contestant::Documented => {
                publish(
                    documented::Events::new(url, names).await?,
                    plan,
                    &body,
                    &mut commands,
                )
                .await
            }
            Contestant::Tuned | Contestant::TunedTwo => {
                publish(
                    tuned::Events::new(url, names).await?,
                    plan,
                    &body,
                    &mut commands,
                )
                .await
            }
            Contestant::Lightbus => {
                publish(
                    by_trait::Events::new(url).await?,
                    plan,
                    &body,
                    &mut commands,
                )
                .await
            }
        },
    }
}

/// What a serving or listening side keeps, and closes politely.
enum Kept {
    Lapin(Vec<Connection>),
    Lightbus(Bus),
}

impl Kept {
    async fn close(self) {
        match self {
            Self::Lapin(connections) => {
                for connection in connections {
                    let _ = connection.close(200, "done".into()).await;
                }
            }
            Self::Lightbus(bus) => {
                let _ = bus.close().await;
            }
        }
    }
}

async fn serve(
    assignment: &Assignment,
    names: &Names,
    two: bool,
    mut commands: mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    let tally = Tally::default();
    let url = &assignment.url;
    let kept = match assignment.contestant {
        Contestant::Documented => Kept::Lapin(documented::serve(url, names, tally.clone()).await?),
        Contestant::Tuned | Contestant::TunedTwo => {
            Kept::Lapin(tuned::serve(url, two, names, tally.clone()).await?)
        }
        Contestant::Lightbus => Kept::Lightbus(by_trait::serve(url, tally.clone()).await?),
    };
    tell(&Report::Ready);
    while commands.recv().await.is_some() {
        tell(&Report::Mark {
            cpu_us: cpu_us(),
            handled: tally.handled(),
        });
    }
    kept.close().await;
    Ok(())
}

async fn listen(
    assignment: &Assignment,
    names: &Names,
    listeners: usize,
    expected: u64,
    mut commands: mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    let tally = Tally::expecting(expected);
    let url = &assignment.url;
    tell(&Report::Ready);
    if commands.recv().await.is_none() {
        return Ok(());
    }
    let before = cpu_us();
    let kept = match assignment.contestant {
        Contestant::Documented => {
            Kept::Lapin(documented::listen(url, names, listeners, &tally).await?)
        }
        Contestant::Tuned | Contestant::TunedTwo => {
            Kept::Lapin(tuned::listen(url, names, listeners, &tally).await?)
        }
        Contestant::Lightbus => {
            Kept::Lightbus(by_trait::listen(url, &assignment.prefix, listeners, &tally).await?)
        }
    };
    let listening = cpu_us();
    tell(&Report::Listening);
    tokio::select! {
        (first_us, last_us) = tally.all() => {
            let cpu = cpu_us();
            tell(&Report::Handled { first_us, last_us, cpu_us: cpu - before, cpu_listening_us: cpu - listening });
            while commands.recv().await.is_some() {}
        }
        _end = commands.recv() => {}
    }
    kept.close().await;
    Ok(())
}

async fn call<C: Caller>(
    caller: C,
    body: String,
    (in_flight, warm_up, measured): (usize, Duration, Duration),
    mut commands: mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    let (caller, body): (Arc<C>, Arc<str>) = (Arc::new(caller), body.into());
    tell(&Report::Ready);
    if commands.recv().await.is_none() {
        return Ok(());
    }
    let start = Instant::now() + warm_up;
    let end = start + measured;
    let callers: Vec<_> = (0..in_flight)
        .map(|number| {
            let (caller, body) = (Arc::clone(&caller), Arc::clone(&body));
            tokio::spawn(
                async move { keep_calling(&*caller, number as u64, &body, start, end).await },
            )
        })
        .collect();
    tokio::time::sleep_until(start.into()).await;
    let before = cpu_us();
    tell(&Report::Started);
    tokio::time::sleep_until(end.into()).await;
    let cpu_us = cpu_us() - before;
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await??);
    }
    latencies.sort_unstable();
    let calls = latencies.len() as u64;
    tell(&Report::Called {
        per_second: per_second(calls, measured),
        calls,
        cpu_us,
        p50_us: f64::from(percentile(&latencies, 0.5)) / 1000.0,
        p99_us: f64::from(percentile(&latencies, 0.99)) / 1000.0,
    });
    while commands.recv().await.is_some() {}
    Ok(())
}

/// One call after the other; returns how long those took that ended in the measured time, in nanoseconds.
async fn keep_calling<C: Caller>(
    caller: &C,
    number: u64,
    body: &str,
    start: Instant,
    end: Instant,
) -> Result<Vec<u32>> {
    let mut latencies = Vec::with_capacity(16 * 1024);
    let mut id = number << 32;
    loop {
        let began = Instant::now();
        let reply = caller.call(id, body).await?;
        let ended = Instant::now();
        if reply.len() != body.len() {
            bail!(
                "a reply of {} bytes to a call of {}",
                reply.len(),
                body.len()
            );
        }
        if ended >= end {
            return Ok(latencies);
        }
        if ended >= start {
            latencies.push(u32::try_from((ended - began).as_nanos()).unwrap_or(u32::MAX));
        }
        id += 1;
    }
}

async fn publish<P: Publisher>(
    publisher: P,
    plan: Plan,
    body: &str,
    commands: &mut mpsc::UnboundedReceiver<String>,
) -> Result<()> {
    publisher.publish(&WARM_UP, body).await?;
    tell(&Report::Ready);
    if commands.recv().await.is_none() {
        return Ok(());
    }
    let (started_us, before, started) = (now_us(), cpu_us(), Instant::now());
    let events = publisher.publish(&plan, body).await?;
    tell(&Report::Published {
        events,
        started_us,
        elapsed: started.elapsed(),
        cpu_us: cpu_us() - before,
    });
    while commands.recv().await.is_some() {}
    Ok(())
}

// ---- inside the frame ------------------------------------------------------------------------------------------

/// A side, seen from the frame.
pub(crate) struct Side {
    name: String,
    process: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Side {
    /// Starts a side, and waits until it is connected.
    pub(crate) async fn start(assignment: &Assignment) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("side")
            .arg(serde_json::to_string(assignment)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start a process of this program")?;
        let output = process.stdout.take().context("no output")?;
        let name = format!(
            "{} of {}",
            role_name(assignment.role),
            assignment.contestant.name()
        );
        let input = process.stdin.take();
        let mut side = Self {
            name,
            process,
            input,
            output: BufReader::new(output).lines(),
        };
        match side.report(Duration::from_secs(20)).await? {
            Report::Ready => Ok(side),
            other => bail!("the {} said {other:?} first", side.name),
        }
    }

    /// Lets it begin.
    pub(crate) async fn go(&mut self) -> Result<()> {
        self.command("go").await
    }

    /// The processor time and the number of messages handled so far, of a serving side.
    pub(crate) async fn mark(&mut self) -> Result<(u64, u64)> {
        self.command("mark").await?;
        match self.report(Duration::from_secs(20)).await? {
            Report::Mark { cpu_us, handled } => Ok((cpu_us, handled)),
            other => bail!("the {} said {other:?} instead of its mark", self.name),
        }
    }

    async fn command(&mut self, word: &str) -> Result<()> {
        let input = self.input.as_mut().context("already finished")?;
        input
            .write_all(format!("{word}\n").as_bytes())
            .await
            .with_context(|| format!("the {} has ended", self.name))
    }

    /// What it says next.
    pub(crate) async fn report(&mut self, within: Duration) -> Result<Report> {
        let line = tokio::time::timeout(within, self.output.next_line())
            .await
            .with_context(|| format!("nothing from the {} within {within:?}", self.name))??
            .with_context(|| format!("the {} ended", self.name))?;
        match serde_json::from_str(&line)
            .with_context(|| format!("the {} said {line}", self.name))?
        {
            Report::Failed { error } => bail!("the {}: {error}", self.name),
            report => Ok(report),
        }
    }

    /// Lets it close its connections and end; kills it when that takes too long.
    pub(crate) async fn finish(mut self) -> Result<()> {
        drop(self.input.take());
        if tokio::time::timeout(CLOSING + Duration::from_secs(2), self.process.wait())
            .await
            .is_err()
        {
            self.process.kill().await?;
        }
        Ok(())
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Serve => "server",
        Role::Call { .. } => "caller",
        Role::Listen { .. } => "listener",
        Role::Publish(_) => "publisher",
    }
}
