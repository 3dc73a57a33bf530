//! A task that fails, is tried again, and dies; then its cause is mended, and it is replayed: and what was to follow it, follows.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use lightbus::{DeadLetter, DeadLetters, TaskError, TaskHandle, TaskStatus};
use tokio::sync::mpsc::unbounded_channel;

use crate::api::{AttemptFailed, ImageError, Sheet};
use crate::order::order;
use crate::story::App;
use crate::tally::Tally;

const NAME: &str = "moon";

/// How often `inspect` is tried.
const ATTEMPTS: u32 = 3;

/// How long to wait before asking again.
const MOMENT: Duration = Duration::from_millis(20);

pub(crate) async fn play(app: &App, tally: &mut Tally) -> Result<()> {
    let look = app.look;
    let dead = app.bus.dead_tasks("studio")?;
    // What a run that was interrupted has left on this broker.
    dead.discard(is_ours).await?;
    let whole = app.draw(NAME).await?;
    let cut = whole.len() / 3;
    app.upload(NAME, &whole[..cut])?;
    look.tell(
        "upload",
        format!("{NAME} breaks off after {cut} of {} bytes", whole.len()),
    );
    let sheet = order_and_see_it_fail(app).await?;
    let letter = find(&dead).await?;
    tell(app, &letter, &dead);
    tally.dead += 1;
    tally.in_vain += letter.attempts.unwrap_or_default();

    app.pause().await;
    app.upload(NAME, &whole)?;
    look.good("upload", format!("{NAME} comes again, all of it"));
    tally.replayed += dead.replay(is_ours).await?;
    look.good(
        "replayed",
        "the letter goes back to its queue, and what follows is in it",
    );
    let sheet = see_it_succeed(&sheet).await?;
    look.good(
        "done",
        format!("inspected, resized, laid out: {}", sheet.in_words()),
    );
    tally.sheets.push(sheet);
    Ok(())
}

fn is_ours(letter: &DeadLetter) -> bool {
    letter
        .json()
        .is_some_and(|arguments| arguments["name"] == NAME)
}

/// Orders the picture, and tells of each attempt at it, as the workers do.
async fn order_and_see_it_fail(app: &App) -> Result<TaskHandle<Sheet, ImageError>> {
    let (tell, mut failures) = unbounded_channel();
    let hear = move |failed: AttemptFailed| {
        // Nobody listens any more when the scene is over.
        let _ = tell.send(failed);
        std::future::ready(())
    };
    let failed = app.studio.attempt_failed();
    let listener = failed.broadcast("trouble", hear).await?;
    let sheet = order(&app.studio, NAME).enqueue().await?;
    let mut attempt = 0;
    while attempt < ATTEMPTS {
        let failed = failures.recv().await.context("the bus was closed")?;
        attempt = failed.attempt;
        app.look.bad(&format!("attempt {attempt}"), &failed.error);
    }
    listener.stop().await;
    match sheet.result().await {
        Err(TaskError::Failed(_)) => Ok(sheet),
        other => bail!("a broken picture came to {other:?}"),
    }
}

/// The letter is written when the last attempt has failed, and found in the broker's own time.
async fn find(dead: &DeadLetters) -> Result<DeadLetter> {
    loop {
        match dead.list(100).await?.into_iter().find(is_ours) {
            Some(letter) => return Ok(letter),
            None => tokio::time::sleep(MOMENT).await,
        }
    }
}

fn tell(app: &App, letter: &DeadLetter, dead: &DeadLetters) {
    let look = app.look;
    let (reason, attempts) = (&letter.reason, letter.attempts.unwrap_or_default());
    let first = letter.first_failed.unwrap_or(SystemTime::UNIX_EPOCH);
    let died = letter.died.and_then(|died| died.duration_since(first).ok());
    let after = died.unwrap_or_default().as_secs_f64();
    look.bad(
        "dead",
        format!("{reason} after {attempts} attempts, {after:.1} s after the first"),
    );
    look.tell("letter", format!("{} in {}", letter.id, dead.queue()));
    let (arguments, from) = (letter.json().unwrap_or_default(), letter.from.as_deref());
    look.tell(
        "",
        format!("{arguments}, from the app `{}`", from.unwrap_or("?")),
    );
}

async fn see_it_succeed(sheet: &TaskHandle<Sheet, ImageError>) -> Result<Sheet> {
    // Until a worker has gone on, what is known ends among the dead letters.
    while sheet.status().await? == TaskStatus::Failed {
        tokio::time::sleep(MOMENT).await;
    }
    sheet
        .result()
        .await
        .context("it was replayed, and failed again")
}
