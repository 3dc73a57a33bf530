//! This program started once more, with nothing in it but a broker.

use crate::{Outcome, clients};
use lightbus_broker::Broker;
use std::{
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
    time::Instant,
};

/// What a child does. It prints one line, and ends when its input does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Serves, and says where.
    Serve,
    /// Starts a broker, publishes, and says how many milliseconds that took.
    FirstPublish,
}

impl Role {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Serve, Self::FirstPublish]
            .into_iter()
            .find(|role| role.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Serve => "--serve",
            Self::FirstPublish => "--first-publish",
        }
    }
}

pub(crate) fn play(role: Role) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let start = Instant::now();
    // A million messages are more than the default lets publishers leave in memory.
    let broker = runtime.block_on(Broker::builder().memory_limit(1 << 30).start())?;
    match role {
        Role::Serve => println!("{}", broker.url()),
        Role::FirstPublish => {
            runtime.block_on(clients::publish_once(&broker.url()))?;
            println!("{}", start.elapsed().as_secs_f64() * 1000.0);
        }
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A running child; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    line: String,
}

impl Child {
    pub(crate) fn serve() -> Outcome<Self> {
        Self::start(Role::Serve)
    }

    pub(crate) fn first_publish() -> Outcome<Self> {
        Self::start(Role::FirstPublish)
    }

    fn start(role: Role) -> Outcome<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(role.name())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("the child has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let line = line.trim().to_owned();
        Ok(Self { process, line })
    }

    /// The line it printed.
    pub(crate) fn says(&self) -> &str {
        &self.line
    }

    /// The bytes of memory it occupies.
    pub(crate) fn resident(&self) -> Outcome<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(kib.ok_or("no VmRSS")?.parse::<f64>()? * 1024.0)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
