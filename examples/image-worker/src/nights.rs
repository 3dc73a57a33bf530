//! A schedule: each night, what was made of pictures that are no more is deleted. Here nights are short.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use lightbus::{Missed, Overlap, RunOutcome, ScheduleStatus, Scheduled, ScheduledRun};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::api::CleanedUp;
use crate::look::size;
use crate::order::FILES;
use crate::story::App;
use crate::tally::Tally;

/// Whose customers leave, one a day.
const LEAVING: [&str; 2] = ["dunes", "plasma"];

/// How long to wait before asking again.
const MOMENT: Duration = Duration::from_millis(20);

pub(crate) async fn play(app: &App, tally: &mut Tally) -> Result<()> {
    let mut news = listen(app).await?;
    let began = SystemTime::now();
    // In production: `.cron("0 3 * * *").time_zone("Europe/Berlin")`.
    let often = app.bus.schedule("nightly-cleanup").every(app.pace.night);
    let nightly = often.missed(Missed::Skip).overlap(Overlap::Skip);
    let nightly = nightly.run(app.studio.clean_up()).await?;
    let mut leaving = LEAVING.into_iter();
    while tally.deleted.0 < LEAVING.len() * FILES {
        let night = news.recv().await.context("the bus was closed")?;
        tally.nights += 1;
        tally.deleted.0 += night.files as usize;
        tally.deleted.1 += night.bytes;
        let label = format!("night {}", tally.nights);
        app.look.tell(&label, in_words(&night));
        if let Some(name) = leaving.next() {
            app.remove(name)?;
            app.look
                .tell("day", format!("a customer leaves, and takes {name} along"));
        }
    }
    look_back(app, &nightly, began, tally.nights).await?;
    nightly.stop();
    Ok(())
}

/// Hears what the workers do at night: here, and in every other process of the app, as long as it runs.
async fn listen(app: &App) -> Result<UnboundedReceiver<CleanedUp>> {
    let (tell, news) = unbounded_channel();
    let hear = move |night| {
        // Nobody listens any more when the story is over.
        let _ = tell.send(night);
        std::future::ready(())
    };
    app.studio
        .cleaned_up()
        .broadcast("night-watch", hear)
        .await?;
    Ok(news)
}

fn in_words(night: &CleanedUp) -> String {
    match night.files {
        0 => "there is nothing to delete".to_owned(),
        files => format!("{files} files of {} are deleted", size(night.bytes)),
    }
}

/// What the schedule itself remembers.
async fn look_back(app: &App, nightly: &Scheduled, began: SystemTime, nights: usize) -> Result<()> {
    let is_ours = |run: &&ScheduledRun| run.time >= began && run.ended.is_some();
    let status = until(nightly, |status| {
        status.history.iter().filter(is_ours).count() >= nights
    })
    .await?;
    let mut took = Vec::new();
    for run in status.history.iter().filter(is_ours) {
        let (ended, outcome) = run.ended.context("it has ended")?;
        ensure!(
            outcome == RunOutcome::Done,
            "a clean-up ended as {outcome:?}"
        );
        took.push(
            ended
                .duration_since(run.time)
                .unwrap_or_default()
                .as_millis()
                .to_string(),
        );
    }
    let next = status.next.context("a schedule without a next time")?;
    let next = next.duration_since(SystemTime::now()).unwrap_or_default();
    let when = status.when.unwrap_or_default();
    app.look.tell(
        "schedule",
        format!(
            "`{}`, {when}: the next one in {:.1} s",
            status.name,
            next.as_secs_f64()
        ),
    );
    app.look.tell(
        "",
        format!(
            "the last ones were done {} ms after their times",
            took.join(", ")
        ),
    );
    Ok(())
}

/// A worker's word of how it ended takes its time.
async fn until(
    nightly: &Scheduled,
    is_told: impl Fn(&ScheduleStatus) -> bool,
) -> Result<ScheduleStatus> {
    loop {
        let status = nightly.status().await?;
        if is_told(&status) {
            return Ok(status);
        }
        tokio::time::sleep(MOMENT).await;
    }
}
