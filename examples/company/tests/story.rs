//! The day of the company, as somebody sees it who types `cargo run -p company`: the story, how it ends, what is left.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Marks the launcher and, as the environment is inherited, whatever it starts.
const MARK: &str = "COMPANY_TEST_RUN";

/// What must be told, in this order.
const BEATS: &[&str] = &[
    "A day at Brew & Daughters",
    "08:30",
    "sales, spares, support and warranty are ready",
    "09:05",
    "Ada → sales.order(Aurora, new)",
    "sales announces machine_sold(A-1001)",
    "spares hears it and plans parts",
    "warranty hears it and covers A-1001",
    "A-1001, €499",
    "09:40",
    "sales announces machine_sold(R-1003)",
    "spares hears it and plans parts",
    "R-1003, €299",
    "10:30",
    "Ada → support.help(A-1001, pump)",
    "support → warranty.coverage(A-1001): yes",
    "support → spares.in_stock(pump): 1 on the shelf, €39 each",
    "support → spares.send(pump, Ada)",
    "spares announces part_ran_out(pump)",
    "sales hears it",
    "support hears it",
    "posted; it was the last one",
    "support announces repair_promised(A-1001, free)",
    "warranty hears it",
    "a new pump is in the post, for free",
    "11:15",
    "support → warranty.coverage(R-1003): R-1003 is not covered",
    "support announces repair_promised(R-1003, paid), and nobody listens",
    "a bill of €4",
    "13:10",
    "Grace → support.help(A-1002, pump)",
    "no pump today",
    "15:00",
    "the supplier → spares.deliver(pump, 10)",
    "spares announces part_arrived(pump, 10)",
    "sales hears it",
    "support hears it and has good news for Grace",
    "support → spares.send(pump, Grace): posted; 9 left",
    "warranty announces model_recalled(Aurora, pump)",
    "sales hears it and stops selling the Aurora",
    "support hears it and warns every desk",
    "16:45",
    "Edsger → sales.order(Aurora, new): the Aurora is recalled",
    "17:00",
    "16 calls",
    "9 events, heard 13 times",
];

#[test]
fn the_day_is_told_and_is_the_same_every_day() -> anyhow::Result<()> {
    let monday = Day::begin(&[], true)?.end()?;
    assert!(monday.status.success(), "{monday:?}");
    assert_eq!(monday.left, Vec::<String>::new(), "processes are left");
    let mut rest = monday.story.as_str();
    for beat in BEATS {
        let at = rest.find(beat).with_context(|| {
            format!(
                "{beat:?} is not told, or not in its place:\n{}",
                monday.story
            )
        })?;
        rest = &rest[at + beat.len()..];
    }
    // This one is for new machines only.
    let linus = monday
        .story
        .split("09:40")
        .nth(1)
        .and_then(|rest| rest.split("10:30").next())
        .unwrap_or_default();
    assert!(
        !linus.contains("warranty hears"),
        "the broker did not filter:\n{linus}"
    );

    let tuesday = Day::begin(&[], true)?.end()?;
    assert_eq!(without_times(&monday.story), without_times(&tuesday.story));
    Ok(())
}

#[test]
fn ctrl_c_sends_everybody_home() -> anyhow::Result<()> {
    let mut day = Day::begin(&["--pace", "500"], false)?;
    day.read_until("09:05")?;
    kill(day.launcher(), Signal::SIGINT)?;
    let day = day.end()?;
    assert_eq!(day.status.code(), Some(130), "{day:?}");
    assert!(day.errors.contains("interrupted"), "{day:?}");
    assert_eq!(day.left, Vec::<String>::new(), "processes are left");
    Ok(())
}

#[test]
fn an_app_that_dies_ends_the_day_with_a_clear_message() -> anyhow::Result<()> {
    let mut day = Day::begin(&["--pace", "500"], false)?;
    day.read_until("09:05")?;
    let warranty = marked(&day.mark)
        .into_iter()
        .find(|(_, command)| command.contains("company-warranty"));
    let (warranty, _) = warranty.context("warranty does not run")?;
    kill(warranty, Signal::SIGKILL)?;
    let day = day.end()?;
    assert_eq!(day.status.code(), Some(1), "{day:?}");
    assert!(
        day.errors
            .contains("warranty ended before the day was over (signal: 9 (SIGKILL))"),
        "{day:?}"
    );
    assert_eq!(day.left, Vec::<String>::new(), "processes are left");
    Ok(())
}

#[test]
fn a_launcher_that_is_killed_leaves_nobody_behind() -> anyhow::Result<()> {
    let mut day = Day::begin(&["--pace", "500"], false)?;
    day.read_until("09:05")?;
    assert_eq!(marked(&day.mark).len(), 5, "the launcher and four apps");
    kill(day.launcher(), Signal::SIGKILL)?;
    let mark = day.mark.clone();
    let given_up = Instant::now() + Duration::from_secs(20);
    while !marked(&mark).is_empty() {
        assert!(Instant::now() < given_up, "{:?} are left", marked(&mark));
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A launcher at work.
struct Day {
    child: Child,
    stdout: BufReader<ChildStdout>,
    mark: String,
}

/// How a day ended.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    story: String,
    errors: String,
    left: Vec<String>,
}

impl Day {
    /// `anywhere`: on the RabbitMQ of `LIGHTBUS_URL`, if that is set. Days that end badly keep to their own broker.
    fn begin(args: &[&str], anywhere: bool) -> anyhow::Result<Self> {
        static DAYS: AtomicU32 = AtomicU32::new(0);
        let mark = format!(
            "{}-{}",
            std::process::id(),
            DAYS.fetch_add(1, Ordering::Relaxed)
        );
        let mut command = Command::new(env!("CARGO_BIN_EXE_company"));
        if !anywhere {
            command.env_remove("LIGHTBUS_URL");
        }
        command
            .args(args)
            .env(MARK, &mark)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self {
            child,
            stdout,
            mark,
        })
    }

    fn launcher(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn read_until(&mut self, beat: &str) -> anyhow::Result<()> {
        let mut line = String::new();
        while !line.contains(beat) {
            line.clear();
            anyhow::ensure!(
                self.stdout.read_line(&mut line)? > 0,
                "{beat:?} is not told"
            );
        }
        Ok(())
    }

    fn end(mut self) -> anyhow::Result<Ended> {
        let mut story = String::new();
        let mut errors = String::new();
        self.stdout.read_to_string(&mut story)?;
        self.child
            .stderr
            .take()
            .context("no stderr")?
            .read_to_string(&mut errors)?;
        let status = self.child.wait()?;
        let left = marked(&self.mark)
            .into_iter()
            .map(|(_, command)| command)
            .collect();
        Ok(Ended {
            status,
            story,
            errors,
            left,
        })
    }
}

/// A test that fails leaves nobody behind either.
impl Drop for Day {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All processes that carry this mark, and their command lines.
fn marked(mark: &str) -> Vec<(Pid, String)> {
    let wanted = format!("{MARK}={mark}");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        environment
            .split(|byte| *byte == 0)
            .find(|variable| *variable == wanted.as_bytes())?;
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Some((
            Pid::from_raw(pid),
            String::from_utf8_lossy(&command).replace('\0', " "),
        ))
    })
    .collect()
}

/// The story without how long things took.
fn without_times(story: &str) -> String {
    let words: Vec<_> = story.split_whitespace().collect();
    let followed = words.iter().zip(words.iter().skip(1).chain([&""]));
    followed
        .filter(|(_, next)| !next.starts_with("ms"))
        .map(|(word, _)| *word)
        .collect::<Vec<_>>()
        .join(" ")
}
