//! Where the day is played: customers come and ask, apps do their work, and each scene is told once it is over.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, PipeWriter, Write, pipe};
use std::time::Duration;

use anyhow::{Context, bail};
use company_journal::Entry;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::story::{Palette, Scene, Tally};

/// How long a scene may last. It takes milliseconds, unless something is broken.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(crate) struct Stage {
    /// The four apps and the customers write to the same pipe: what caused something stands before it.
    journal: PipeWriter,
    entries: UnboundedReceiver<Entry>,
    scene: Scene,
    /// How many calls the customers have made in this scene.
    visits: usize,
    tally: Tally,
    palette: Palette,
    pace: Duration,
}

impl Stage {
    pub(crate) fn build(pace: Duration) -> anyhow::Result<Self> {
        let (reader, journal) = pipe()?;
        let (sender, entries) = unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(entry) => drop(sender.send(entry)),
                    Err(_) => eprintln!("{line}"),
                }
            }
        });
        let (scene, tally) = (Scene::default(), Tally::default());
        Ok(Self {
            journal,
            entries,
            scene,
            visits: 0,
            tally,
            palette: Palette::for_stdout(),
            pace,
        })
    }

    /// What the apps get as their standard output.
    pub(crate) fn journal(&self) -> &PipeWriter {
        &self.journal
    }

    /// The title of the play.
    pub(crate) fn announce(&self, title: &str) -> io::Result<()> {
        writeln!(io::stdout(), "\n{}\n", self.palette.title(title))
    }

    /// A new scene.
    pub(crate) async fn scene(&self, time: &str, title: &str) -> io::Result<()> {
        tokio::time::sleep(self.pace).await;
        writeln!(
            io::stdout(),
            "{}  {}",
            self.palette.dim(time),
            self.palette.title(title)
        )
    }

    /// Somebody who is none of the four apps makes a call.
    pub(crate) async fn visit<T: Display, E: Display>(
        &mut self,
        who: &str,
        question: &str,
        call: impl IntoFuture<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.visits += 1;
        // If the journal could not be written, the scene would not end, and say so.
        let write = |entry: &Entry| drop(entry.write_to(&mut &self.journal));
        company_journal::asking_as(who, question, call, write).await
    }

    /// Waits until every call is answered and all this was reported, and tells the scene.
    pub(crate) async fn until(&mut self, expected: &[(&str, &str)]) -> anyhow::Result<()> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !self.scene.is_over(self.visits, expected) {
            match tokio::time::timeout_at(deadline, self.entries.recv()).await {
                Ok(entry) => self.scene.add(entry.context("the journal is lost")?),
                Err(_) => {
                    self.end_scene()?;
                    bail!("the scene does not end: {}", self.scene.missing(expected))
                }
            }
        }
        self.end_scene()?;
        Ok(())
    }

    fn end_scene(&mut self) -> io::Result<()> {
        self.visits = 0;
        let scene = std::mem::take(&mut self.scene);
        self.tally.add(&scene);
        writeln!(io::stdout(), "{}", scene.told(&self.palette))
    }

    /// The day in numbers.
    pub(crate) fn sum_up(&self) -> io::Result<()> {
        let (time, title) = (
            self.palette.dim("17:00"),
            self.palette.title("Everybody goes home."),
        );
        writeln!(io::stdout(), "{time}  {title}\n       {}\n", self.tally)
    }
}
