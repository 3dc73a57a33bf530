//! The story: an app that hands work to others, in three scenes.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use lightbus::Bus;

use crate::api::StudioApiClient;
use crate::board::Board;
use crate::look::Look;
use crate::order::{TASKS, order_and_follow};
use crate::storage::Storage;
use crate::tally::Tally;
use crate::{broken, draw, nights};

/// How long a scene may last. It takes seconds, unless something is broken.
const PATIENCE: Duration = Duration::from_secs(40);

/// How large things are, and how long they take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) picture: (u32, u32),
    pub(crate) night: Duration,
    pub(crate) pause: Duration,
}

/// The app: it knows the API and the storage, and resizes nothing itself.
pub(crate) struct App {
    pub(crate) bus: Bus,
    pub(crate) studio: StudioApiClient,
    pub(crate) storage: Storage,
    pub(crate) pace: Pace,
    pub(crate) look: Look,
}

pub(crate) async fn play(app: &App) -> Result<Tally> {
    let mut tally = Tally::default();
    app.look
        .title("Six pictures arrive: each is inspected, resized three times, put on a sheet");
    within("the first scene", pictures_arrive(app, &mut tally)).await?;
    app.pause().await;
    app.look
        .title("One breaks on its way: its order fails, is mended, and goes on");
    within("the second scene", broken::play(app, &mut tally)).await?;
    app.pause().await;
    let night = app.pace.night;
    app.look.title(&format!(
        "Thumbnails that nobody wants go at night; a night lasts {night:?}"
    ));
    within("the third scene", nights::play(app, &mut tally)).await?;
    Ok(tally)
}

async fn within(scene: &str, play: impl Future<Output = Result<()>>) -> Result<()> {
    let played = tokio::time::timeout(PATIENCE, play).await;
    let played = played.with_context(|| format!("{scene} has not ended within {PATIENCE:?}"))?;
    played.with_context(|| format!("{scene} went wrong"))
}

async fn pictures_arrive(app: &App, tally: &mut Tally) -> Result<()> {
    let (board, began) = (Board::new(app.look), Instant::now());
    let rows = draw::NAMES.map(|name| board.row(name, TASKS));
    let orders = draw::NAMES.iter().zip(rows).map(async |(name, row)| {
        app.upload(name, &app.draw(name).await?)?;
        order_and_follow(&app.studio, name, row).await
    });
    tally.sheets = try_join_all(orders).await?;
    tally.took = began.elapsed();
    board.end();
    Ok(())
}

impl App {
    pub(crate) async fn pause(&self) {
        tokio::time::sleep(self.pace.pause).await;
    }

    pub(crate) async fn draw(&self, name: &'static str) -> Result<Vec<u8>> {
        let size = self.pace.picture;
        tokio::task::spawn_blocking(move || draw::png(name, size)).await?
    }

    pub(crate) fn upload(&self, name: &str, bytes: &[u8]) -> Result<()> {
        Ok(std::fs::write(self.path(name)?, bytes)?)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        Ok(std::fs::remove_file(self.path(name)?)?)
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        self.storage.picture(name).context("no picture's name")
    }
}
