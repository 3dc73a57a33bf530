//! What was done, in numbers; and whether it is what should have been.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::api::{Credit, Sheet};
use crate::draw;
use crate::look::{Look, size};
use crate::order::{FILES, TASKS};
use crate::storage::Storage;

#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// One of each picture.
    pub(crate) sheets: Vec<Sheet>,
    /// How long the pictures of the first scene took.
    pub(crate) took: Duration,
    /// Tasks that died, and how many attempts were made at them.
    pub(crate) dead: u64,
    pub(crate) in_vain: u32,
    pub(crate) replayed: u64,
    pub(crate) nights: usize,
    /// Files, and their bytes.
    pub(crate) deleted: (usize, u64),
}

impl Tally {
    pub(crate) fn sum_up(&self, look: Look, storage: &Storage) -> Result<()> {
        let pictures = draw::NAMES.len() + 1;
        let sheets = self.sheets.len();
        ensure!(sheets == pictures, "{sheets} sheets instead of {pictures}");
        let (dead, replayed) = (self.dead, self.replayed);
        ensure!(
            (dead, replayed) == (1, 1),
            "{dead} dead, {replayed} replayed, instead of one"
        );
        ensure!(self.nights >= 3, "only {} nights", self.nights);
        let (made, deleted, left) = (pictures * FILES, self.deleted.0, storage.made()?);
        ensure!(
            left + deleted == made,
            "{left} files are left of {made}, with {deleted} deleted"
        );
        self.tell(look, left);
        Ok(())
    }

    fn tell(&self, look: Look, left: usize) {
        let sheets = self.sheets.len();
        let pictures = self
            .sheets
            .iter()
            .filter_map(|sheet| sheet.thumbnails.first());
        let sent = pictures.map(|first| first.picture.file.bytes).sum();
        let thumbnails: usize = self.sheets.iter().map(|sheet| sheet.thumbnails.len()).sum();
        let made = size(self.sheets.iter().map(Sheet::bytes).sum());
        let speed = draw::NAMES.len() as f64 * TASKS as f64 / self.took.as_secs_f64();
        let credits = self.credits();
        let attempts = self.in_vain + credits.iter().map(|credit| credit.attempts).sum::<u32>();
        let (nights, (files, bytes)) = (self.nights, self.deleted);

        look.title("What it came to");
        look.tell("pictures", format!("{sheets} of {}", size(sent)));
        look.tell(
            "made",
            format!("{thumbnails} thumbnails and {sheets} sheets of {made}"),
        );
        look.tell(
            "tasks",
            format!(
                "{} done in {attempts} attempts; {speed:.1} a second",
                credits.len()
            ),
        );
        look.tell("workers", shares(&credits));
        look.tell(
            "dead",
            format!("{}; {} replayed, and done", self.dead, self.replayed),
        );
        look.tell(
            "nights",
            format!(
                "{nights}; {files} files of {} deleted, {left} left",
                size(bytes)
            ),
        );
    }

    /// Of each task, who has done it.
    fn credits(&self) -> Vec<Credit> {
        let of = |sheet: &Sheet| {
            let inspected = sheet.thumbnails.first().map(|first| first.picture.credit);
            let resized = sheet.thumbnails.iter().map(|thumbnail| thumbnail.credit);
            let credits = inspected.into_iter().chain(resized).chain([sheet.credit]);
            credits.collect::<Vec<_>>()
        };
        self.sheets.iter().flat_map(of).collect()
    }
}

/// `process 4711 did 18, process 4712 did 17`.
fn shares(credits: &[Credit]) -> String {
    let mut shares = BTreeMap::<u32, u32>::new();
    for credit in credits {
        *shares.entry(credit.worker).or_default() += 1;
    }
    let shares = shares
        .iter()
        .map(|(worker, done)| format!("process {worker} did {done}"));
    shares.collect::<Vec<_>>().join(", ")
}
