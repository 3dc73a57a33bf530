//! The workers' processes: this program itself, started again with `work`.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

/// How long a worker may take to finish what it is doing, once it has been sent home.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Crew {
    /// Their standard inputs. Nothing is ever written to them: their end sends the workers home.
    lifelines: Vec<ChildStdin>,
    workers: JoinSet<Result<ExitStatus>>,
}

impl Crew {
    pub(crate) fn hire(count: usize, url: &str, folder: &Path) -> Result<Self> {
        let (mut lifelines, mut workers) = (Vec::new(), JoinSet::new());
        for _ in 0..count {
            let mut worker = start(url, folder).context("a worker does not start")?;
            lifelines.extend(worker.stdin.take());
            workers.spawn(async move { Ok(worker.wait().await?) });
        }
        Ok(Self { lifelines, workers })
    }

    /// Waits until a worker ends, which none of them should as long as there is work.
    pub(crate) async fn someone_leaves(&mut self) -> anyhow::Error {
        match self.workers.join_next().await {
            Some(Ok(Ok(status))) => anyhow!("a worker ended before its time ({status})"),
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => error.into(),
            None => anyhow!("nobody works here"),
        }
    }

    /// Asks all workers to end, waits for them, and kills those that do not.
    pub(crate) async fn send_home(mut self) -> Result<()> {
        self.lifelines.clear();
        let all_leave = async {
            while let Some(status) = self.workers.join_next().await {
                let status = status??;
                ensure!(status.success(), "a worker ended badly ({status})");
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, all_leave).await {
            Ok(result) => result,
            Err(_) => {
                self.workers.shutdown().await;
                bail!("a worker did not go home within {PATIENCE:?}, and was killed");
            }
        }
    }
}

fn start(url: &str, folder: &Path) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["work", "--hired"])
        .arg(folder)
        .env("LIGHTBUS_URL", url)
        .stdin(Stdio::piped())
        .kill_on_drop(true);
    // Ctrl-C is for this program, which then sends the workers home.
    #[cfg(unix)]
    command.process_group(0);
    Ok(command.spawn()?)
}
