//! A private RabbitMQ node, made and ended by `scripts/rabbitmq`.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

/// Long enough to start a node on a busy machine; installing RabbitMQ 4 takes minutes.
const START: Duration = Duration::from_secs(600);
const STEP: Duration = Duration::from_secs(60);

/// Which RabbitMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one of this machine, or its Debian.
    Debian,
    /// RabbitMQ 4, in a Debian of its own.
    Four,
}

/// A running node. Dropping it ends it.
#[derive(Debug)]
pub struct Node {
    version: Version,
    port: u16,
    dir: Option<PathBuf>,
}

impl Node {
    /// Starts an empty node on a port. `LIGHTBUS_RABBITMQ_DIR`, if set, is the folder that has a folder for each node.
    pub async fn start(version: Version, port: u16) -> anyhow::Result<Self> {
        let dir = std::env::var_os("LIGHTBUS_RABBITMQ_DIR");
        let dir = dir.map(|dir| PathBuf::from(dir).join(format!("node-{port}")));
        let node = Self { version, port, dir };
        // What an earlier run left behind has that run's queues.
        node.run(START, &["stop"]).await?;
        node.run(START, &["start"]).await?;
        Ok(node)
    }

    /// The node's URL.
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.port)
    }

    /// Ends the node as a crash does: `kill -9`.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.run(STEP, &["kill"]).await.map(drop)
    }

    /// Starts the node again, with what it had stored.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.run(START, &["restart"]).await.map(drop)
    }

    /// Stops the broker and its listeners; the node's runtime goes on.
    pub async fn stop_app(&self) -> anyhow::Result<()> {
        self.ctl(&["stop_app"]).await.map(drop)
    }

    /// Ends what [`stop_app`](Self::stop_app) began; returns when the broker is up.
    pub async fn start_app(&self) -> anyhow::Result<()> {
        self.ctl(&["start_app"]).await.map(drop)
    }

    /// Raises the memory alarm: publishers are blocked.
    pub async fn alarm_on(&self) -> anyhow::Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", "0.0001"])
            .await
            .map(drop)
    }

    /// Ends the memory alarm.
    pub async fn alarm_off(&self) -> anyhow::Result<()> {
        self.ctl(&["set_vm_memory_high_watermark", "0.4"])
            .await
            .map(drop)
    }

    /// Deletes a queue, whoever uses it.
    pub async fn delete_queue(&self, queue: &str) -> anyhow::Result<()> {
        self.ctl(&["delete_queue", queue]).await.map(drop)
    }

    /// Closes every connection, with a reason that the clients are told.
    pub async fn close_connections(&self, reason: &str) -> anyhow::Result<()> {
        self.ctl(&["close_all_connections", reason]).await.map(drop)
    }

    /// Adds a user, who may do nothing yet.
    pub async fn add_user(&self, name: &str, password: &str) -> anyhow::Result<()> {
        self.ctl(&["add_user", name, password]).await.map(drop)
    }

    /// What a user may configure, write and read in the virtual host `/`.
    pub async fn set_permissions(&self, user: &str, patterns: [&str; 3]) -> anyhow::Result<()> {
        let [configure, write, read] = patterns;
        let arguments = ["set_permissions", user, configure, write, read];
        self.ctl(&arguments).await.map(drop)
    }

    /// Takes all permissions of a user.
    pub async fn clear_permissions(&self, user: &str) -> anyhow::Result<()> {
        self.ctl(&["clear_permissions", user]).await.map(drop)
    }

    /// How long a delivery may stay unacknowledged on channels that are opened from now on; looked at each second.
    pub async fn consumer_timeout(&self, limit: Duration) -> anyhow::Result<()> {
        let program = format!(
            "application:set_env(rabbit, consumer_timeout, {}), application:set_env(rabbit, channel_tick_interval, 1000).",
            limit.as_millis()
        );
        self.ctl(&["eval", &program]).await.map(drop)
    }

    /// RabbitMQ's version.
    pub async fn version(&self) -> anyhow::Result<String> {
        self.ctl(&["version"]).await
    }

    async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut words = vec!["ctl", "-q"];
        words.extend(arguments);
        self.run(STEP, &words).await
    }

    async fn run(&self, limit: Duration, arguments: &[&str]) -> anyhow::Result<String> {
        let named = || format!("scripts/rabbitmq {}", arguments.join(" "));
        let mut command = Command::from(self.script(arguments));
        let running = command.kill_on_drop(true).output();
        let ended = tokio::time::timeout(limit, running).await;
        let ended = ended.with_context(|| format!("`{}` takes too long", named()))?;
        let Output {
            status,
            stdout,
            stderr,
        } = ended.with_context(named)?;
        anyhow::ensure!(
            status.success(),
            "`{}` failed: {}",
            named(),
            String::from_utf8_lossy(&stderr).trim()
        );
        Ok(String::from_utf8_lossy(&stdout).trim().to_owned())
    }

    fn script(&self, arguments: &[&str]) -> std::process::Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/rabbitmq");
        let mut command = std::process::Command::new(script);
        let version = match self.version {
            Version::Debian => "debian",
            Version::Four => "4",
        };
        command
            .args(arguments)
            .stdin(Stdio::null())
            .env("LIGHTBUS_RABBITMQ_PORT", self.port.to_string())
            .env("LIGHTBUS_RABBITMQ_VERSION", version);
        if let Some(dir) = &self.dir {
            command.env("LIGHTBUS_RABBITMQ_DIR", dir);
        }
        command
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let stopped = self.script(&["stop"]).output();
        if !stopped.is_ok_and(|stopped| stopped.status.success()) {
            eprintln!("the node on port {} could not be ended", self.port);
        }
    }
}
