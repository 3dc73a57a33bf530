//! A task that fails, is tried again, and dies; then its cause is mended, and it is replayed.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail, ensure};
use lightbus::{DeadLetter, DeadLetters, TaskError, TaskHandle, TaskStatus};

use crate::api::{ImageError, Picture};
use crate::board::Board;
use crate::order::{self, TASKS};
use crate::story::App;
use crate::tally::Tally;

const NAME: &str = "moon";

/// How long to wait before asking again.
const MOMENT: Duration = Duration::from_millis(20);

type Inspecting = TaskHandle<Picture, ImageError>;

pub(crate) async fn play(app: &App, tally: &mut Tally) -> Result<()> {
    let look = app.look;
    let whole = app.draw(NAME).await?;
    let cut = whole.len() / 3;
    app.upload(NAME, &whole[..cut])?;
    look.tell(
        "upload",
        format!("{NAME} breaks off after {cut} of {} bytes", whole.len()),
    );
    let inspecting = app.studio.inspect(NAME).enqueue().await?;
    see_it_fail(app, &inspecting).await?;

    let dead = app.bus.dead_tasks("studio")?;
    let letter = find(&dead, inspecting.id().message_id()).await?;
    tell(app, &letter, &dead);
    tally.dead += 1;
    tally.in_vain += letter.attempts.unwrap_or_default();

    app.pause().await;
    app.upload(NAME, &whole)?;
    look.good("upload", format!("{NAME} comes again, all of it"));
    tally.replayed += dead.replay(|other| other.id == letter.id).await?;
    look.good(
        "replayed",
        "the letter goes back to its queue, under the same id",
    );
    see_it_succeed(app, &inspecting, tally).await
}

/// Tells of each attempt that fails.
async fn see_it_fail(app: &App, task: &Inspecting) -> Result<()> {
    let mut failed = 0;
    let tell = |attempt, error: String| app.look.bad(&format!("attempt {attempt}"), error);
    loop {
        match task.status().await? {
            TaskStatus::Retrying { attempt, error } if attempt >= failed => {
                failed = attempt + 1;
                tell(failed, in_words(&error));
            }
            status if status.is_ended() => break,
            _ => tokio::time::sleep(MOMENT).await,
        }
    }
    match task.result().await {
        Err(TaskError::Domain(error)) => tell(failed + 1, error.to_string()),
        other => bail!("a broken picture was inspected: {other:?}"),
    }
    Ok(())
}

/// A task's own error is data; where it is shown as a text, that is JSON.
fn in_words(error: &str) -> String {
    let known = serde_json::from_str::<ImageError>(error);
    known.map_or_else(|_| error.to_owned(), |known| known.to_string())
}

/// The letter is written when the last attempt has failed, and found in the broker's own time.
async fn find(dead: &DeadLetters, id: &str) -> Result<DeadLetter> {
    loop {
        match dead.find(id).await? {
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

async fn see_it_succeed(app: &App, task: &Inspecting, tally: &mut Tally) -> Result<()> {
    // Until a worker begins it anew, what is known of it ends among the dead letters.
    while task.status().await? == TaskStatus::Failed {
        tokio::time::sleep(MOMENT).await;
    }
    let board = Board::new(app.look);
    let row = board.row(NAME, TASKS);
    let inspected = row.follow(task).await;
    let picture = inspected.context("it was replayed, and failed again")?;
    ensure!(picture.credit.attempts == 1, "what is replayed begins anew");
    tally
        .sheets
        .push(order::finish(&app.studio, picture, row).await?);
    board.end();
    Ok(())
}
