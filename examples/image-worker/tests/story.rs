//! The story, as somebody sees it who types `cargo run -p image-worker`: what is told, what is made, how it ends, what is left.

#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// What must be told, in this order.
const BEATS: &[&str] = &[
    "A picture studio, on the ",
    "2, in processes of their own",
    "Six pictures arrive",
    "4 files of ",
    "One breaks on its way",
    "moon breaks off after ",
    "attempt 1   moon is broken: ",
    "attempt 2   moon is broken: ",
    "attempt 3   moon is broken: ",
    "failed after 3 attempts, ",
    " in lb.task.studio.dead",
    r#"{"name":"moon"}, from the app `studio`"#,
    "moon comes again, all of it",
    "replayed    the letter goes back to its queue",
    "inspected, resized, laid out: 4 files of ",
    "a night lasts 400ms",
    "night 1     there is nothing to delete",
    "a customer leaves, and takes dunes along",
    "4 files of ",
    "a customer leaves, and takes plasma along",
    "4 files of ",
    "`nightly-cleanup`, every 400ms: the next one in ",
    "21 thumbnails and 7 sheets of ",
    "35 done in 38 attempts",
    "1; 1 replayed, and done",
    "8 files of ",
    "20 left",
];

/// The pictures that are left, of which everything is.
const LEFT: [&str; 5] = ["aurora", "julia", "mandelbrot", "moon", "ripples"];

#[test]
fn the_story_is_told_and_the_pictures_are_there() -> Result<()> {
    let folder = TempDir::new()?;
    let ended = Run::begin(folder.path(), true)?.end()?;
    assert!(ended.status.success(), "{ended:?}");
    let mut rest = ended.told.as_str();
    for beat in BEATS {
        let missing = || format!("{beat:?} is not told, or not in its place:\n{}", ended.told);
        let at = rest.find(beat).with_context(missing)?;
        rest = &rest[at + beat.len()..];
    }
    assert!(!ended.told.contains('\u{1b}'), "colours in a file");
    assert_eq!(names(&folder.path().join("thumbnails"))?, LEFT);
    for name in LEFT {
        let made = folder.path().join("thumbnails").join(name);
        let size = |file: &str| image::image_dimensions(made.join(file));
        for (width, height) in [(160, 107), (320, 213), (640, 427)] {
            assert_eq!(size(&format!("{width}.jpg"))?, (width, height), "{name}");
        }
        assert_eq!(size("sheet.jpg")?, (160 + 320 + 640 + 4 * 16, 427 + 2 * 16));
    }
    Ok(())
}

#[test]
fn ctrl_c_sends_the_workers_home() -> Result<()> {
    let folder = TempDir::new()?;
    let mut run = Run::begin(folder.path(), false)?;
    run.read_until("Six pictures arrive")?;
    kill(run.pid(), Signal::SIGINT)?;
    let ended = run.end()?;
    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert!(ended.errors.contains("interrupted"), "{ended:?}");
    Ok(())
}

#[test]
fn a_worker_that_dies_ends_the_story_with_a_clear_message() -> Result<()> {
    let folder = TempDir::new()?;
    let mut run = Run::begin(folder.path(), false)?;
    run.read_until("Six pictures arrive")?;
    run.wait_for_workers(2)?;
    let worker = run.workers()?.pop().context("no worker runs")?;
    kill(worker, Signal::SIGKILL)?;
    let ended = run.end()?;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let words = "a worker ended before its time (signal: 9 (SIGKILL))";
    assert!(ended.errors.contains(words), "{ended:?}");
    Ok(())
}

#[test]
fn an_app_that_is_killed_leaves_no_worker_behind() -> Result<()> {
    let folder = TempDir::new()?;
    let mut run = Run::begin(folder.path(), false)?;
    run.read_until("Six pictures arrive")?;
    run.wait_for_workers(2)?;
    kill(run.pid(), Signal::SIGKILL)?;
    run.wait_for_workers(0)
}

#[test]
fn a_worker_whose_app_is_gone_does_not_wait_for_its_broker() -> Result<()> {
    let folder = TempDir::new()?;
    for part in ["pictures", "thumbnails"] {
        std::fs::create_dir(folder.path().join(part))?;
    }
    // A port that is taken, and on which nobody answers.
    let nobody = TcpListener::bind("127.0.0.1:0")?;
    let mut worker = Command::new(env!("CARGO_BIN_EXE_image-worker"))
        .args(["work", "--hired"])
        .arg(folder.path())
        .env("LIGHTBUS_URL", format!("amqp://{}", nobody.local_addr()?))
        .stdin(Stdio::piped())
        .spawn()?;
    let (_silence, _) = nobody.accept()?;
    drop(worker.stdin.take());
    let given_up = Instant::now() + Duration::from_secs(10);
    while worker.try_wait()?.is_none() {
        if Instant::now() > given_up {
            worker.kill()?;
            worker.wait()?;
            bail!("the worker waits for a broker");
        }
        thread::sleep(Duration::from_millis(20));
    }
    ensure!(worker.wait()?.success(), "the worker ends badly");
    Ok(())
}

/// The program at work.
struct Run<'a> {
    child: Child,
    stdout: BufReader<ChildStdout>,
    folder: &'a Path,
}

/// How it ended.
#[derive(Debug)]
struct Ended {
    status: ExitStatus,
    told: String,
    errors: String,
}

impl<'a> Run<'a> {
    /// `anywhere`: on the RabbitMQ of `LIGHTBUS_URL`, if that is set. Runs that end badly keep to their own broker.
    fn begin(folder: &'a Path, anywhere: bool) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_image-worker"));
        if !anywhere {
            command.env_remove("LIGHTBUS_URL");
        }
        command
            .args(["--quick", "--keep"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self {
            child,
            stdout,
            folder,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// The processes that were told to work in this run's folder.
    fn workers(&self) -> Result<Vec<Pid>> {
        let folder = self.folder.to_str().context("no text")?;
        let processes = std::fs::read_dir("/proc")?.flatten();
        let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
        let works = |pid: &i32| {
            let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline"));
            command.is_ok_and(|it| it.contains("\0work\0") && it.contains(folder))
        };
        Ok(pids.filter(works).map(Pid::from_raw).collect())
    }

    /// A process that has just begun is not known by its arguments yet.
    fn wait_for_workers(&self, count: usize) -> Result<()> {
        let given_up = Instant::now() + Duration::from_secs(30);
        while self.workers()?.len() != count {
            ensure!(Instant::now() < given_up, "there are not {count} workers");
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn read_until(&mut self, beat: &str) -> Result<()> {
        let mut line = String::new();
        while !line.contains(beat) {
            line.clear();
            ensure!(
                self.stdout.read_line(&mut line)? > 0,
                "{beat:?} is not told"
            );
        }
        Ok(())
    }

    /// Waits for its end, after which no worker may be left.
    fn end(mut self) -> Result<Ended> {
        let (mut told, mut errors) = (String::new(), String::new());
        self.stdout.read_to_string(&mut told)?;
        let mut stderr = self.child.stderr.take().context("no stderr")?;
        stderr.read_to_string(&mut errors)?;
        let status = self.child.wait()?;
        ensure!(self.workers()?.is_empty(), "workers are left");
        Ok(Ended {
            status,
            told,
            errors,
        })
    }
}

/// A test that fails leaves nobody behind either.
impl Drop for Run<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is in a folder, in alphabetical order.
fn names(folder: &Path) -> Result<Vec<String>> {
    let names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<std::io::Result<Vec<_>>>()?;
    let mut names: Vec<_> = names.iter().map(|it| it.to_string_lossy().into()).collect();
    names.sort_unstable();
    Ok(names)
}
