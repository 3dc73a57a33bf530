//! The four programs: built, started, watched, and sent home.

use std::io::{BufRead, BufReader, PipeWriter, Read, Write};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

/// Cargo's names of the four packages, and of their binaries.
const PACKAGES: [&str; 4] = [
    "company-sales",
    "company-spares",
    "company-support",
    "company-warranty",
];

/// How long a program may take to finish what it is doing, once it has been sent home.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that is ready to be started.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    path: PathBuf,
}

/// Has Cargo build the four programs, with the profile of this one. Says nothing when there was nothing to do.
pub(crate) fn build() -> anyhow::Result<Vec<Program>> {
    let cargo = std::env::var_os("CARGO")
        .context("start me with Cargo, which builds the apps: `cargo run -p company`")?;
    let here = std::env::current_exe()?;
    let profile = match here
        .parent()
        .and_then(|folder| folder.file_name())
        .and_then(|name| name.to_str())
    {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let mut build = std::process::Command::new(cargo)
        .args(["build", "--profile", profile, "--manifest-path", workspace])
        .args(["--message-format", "json-render-diagnostics"])
        // This package among them: so Cargo settles on the features, and the builds of shared crates, that it already has.
        .args(["-p", env!("CARGO_PKG_NAME")])
        .args(PACKAGES.iter().flat_map(|package| ["-p", package]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start Cargo")?;
    if let Some(progress) = build.stderr.take() {
        std::thread::spawn(move || show_progress(progress));
    }
    let messages = build.stdout.take().context("Cargo has no output")?;
    let programs = BufReader::new(messages)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| program(&line))
        .collect::<Vec<_>>();
    ensure!(build.wait()?.success(), "the apps do not build");
    ensure!(
        programs.len() == PACKAGES.len(),
        "Cargo built {programs:?} instead of {PACKAGES:?}"
    );
    Ok(programs)
}

/// The program that one of Cargo's messages speaks of.
fn program(message: &str) -> Option<Program> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    let name = message["target"]["name"]
        .as_str()
        .filter(|name| PACKAGES.contains(name))?;
    let path = message["executable"].as_str()?;
    Some(Program {
        name: name.trim_start_matches("company-").to_owned(),
        path: path.into(),
    })
}

/// Shows what Cargo says as it says it, except that a build with nothing to do has finished.
fn show_progress(mut progress: impl Read) {
    let mut said = Vec::new();
    let mut chunk = [0; 4096];
    let mut quiet = true;
    while let Ok(length @ 1..) = progress.read(&mut chunk) {
        said.extend_from_slice(&chunk[..length]);
        quiet = quiet
            && String::from_utf8_lossy(&said)
                .trim_start()
                .starts_with("Finished");
        if !quiet {
            let _ = std::io::stderr().write_all(&said);
            said.clear();
        }
    }
}

/// The four programs, running.
#[derive(Debug)]
pub(crate) struct Company {
    /// Their standard inputs. Nothing is ever written to them: their end tells the programs to go home.
    lifelines: Vec<ChildStdin>,
    staff: JoinSet<anyhow::Result<Farewell>>,
}

/// How a program ended.
#[derive(Debug)]
struct Farewell {
    name: String,
    status: ExitStatus,
    stderr: String,
}

impl Company {
    /// Starts the programs on this broker. They all write to the same journal.
    pub(crate) fn hire(
        programs: &[Program],
        url: &str,
        journal: &PipeWriter,
    ) -> anyhow::Result<Self> {
        let mut company = Self {
            lifelines: Vec::new(),
            staff: JoinSet::new(),
        };
        for program in programs {
            let mut command = Command::new(&program.path);
            command
                .env("LIGHTBUS_URL", url)
                .env(company_journal::LAUNCHED, "1")
                .stdin(Stdio::piped())
                .stdout(journal.try_clone()?)
                .stderr(Stdio::piped())
                .kill_on_drop(true);
            // Ctrl-C is for this program, which then sends the others home.
            #[cfg(unix)]
            command.process_group(0);
            let mut child = command
                .spawn()
                .with_context(|| format!("cannot start {}", program.path.display()))?;
            company.lifelines.extend(child.stdin.take());
            company.staff.spawn(attend(program.name.clone(), child));
        }
        Ok(company)
    }

    /// Waits until a program ends, which none of them should as long as the day lasts.
    pub(crate) async fn someone_leaves(&mut self) -> anyhow::Error {
        match self.staff.join_next().await {
            Some(Ok(Ok(farewell))) => farewell.into_error("ended before the day was over"),
            Some(Ok(Err(error))) => error,
            Some(Err(error)) => error.into(),
            None => anyhow!("nobody works here"),
        }
    }

    /// Asks all programs to end, waits for them, and kills those that do not.
    pub(crate) async fn send_home(mut self) -> anyhow::Result<()> {
        self.lifelines.clear();
        let all_leave = async {
            while let Some(farewell) = self.staff.join_next().await {
                let farewell = farewell??;
                if !farewell.status.success() {
                    return Err(farewell.into_error("ended badly"));
                }
                eprint!("{}", farewell.stderr);
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, all_leave).await {
            Ok(result) => result,
            Err(_) => {
                self.staff.shutdown().await;
                bail!("somebody did not go home within {PATIENCE:?}, and was killed");
            }
        }
    }
}

impl Farewell {
    fn into_error(self, what: &str) -> anyhow::Error {
        let Self {
            name,
            status,
            stderr,
        } = self;
        let words = stderr.trim_end();
        let words = if words.is_empty() {
            "nothing".to_owned()
        } else {
            format!("\n{words}")
        };
        anyhow!("{name} {what} ({status}). It said on stderr: {words}")
    }
}

/// Waits for the end of a program, and collects its standard error.
async fn attend(name: String, mut child: Child) -> anyhow::Result<Farewell> {
    let mut stderr = Vec::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_end(&mut stderr).await?;
    }
    let status = child.wait().await?;
    Ok(Farewell {
        name,
        status,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    })
}
