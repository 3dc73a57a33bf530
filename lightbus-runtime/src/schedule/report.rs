//! A worker tells a schedule's app how an occurrence's task has ended.

use lapin::BasicProperties;
use tracing::warn;

use super::message::{Letter, Word, occurrence};
use super::state::{End, RunOutcome};
use crate::boxed::BoxedFor;
use crate::bus::Core;
use crate::publishing::{Message, Progress};
use crate::topology;
use crate::wire;

/// Is this task an occurrence of a schedule?
pub(crate) fn is_scheduled(properties: &BasicProperties) -> bool {
    wire::header(properties, wire::SCHEDULE).is_some()
}

/// To be awaited when a task has ended for good, before its message is acknowledged: then a worker that is lost in between tells again, and that does no harm. A
/// task that no schedule fired is nobody's business. What cannot be told within the bus's publish timeout is counted and logged: the schedule takes
/// the run for lost some day.
pub(crate) fn report_end<'a>(
    core: &'a Core,
    properties: &BasicProperties,
    outcome: RunOutcome,
) -> BoxedFor<'a, ()> {
    let Some((app, schedule, run)) = occurrence(properties) else {
        return Box::pin(std::future::ready(()));
    };
    let at = core.clock.now_ms();
    let word = Word::Done {
        run,
        end: End { at, outcome },
    };
    let letter = Letter::word(&core.sender, app, schedule, &word);
    let (app, schedule) = (app.to_owned(), schedule.to_owned());
    Box::pin(async move {
        let plan = || topology::cron_exchange_plan(&app);
        let sent = send(core, &letter, &letter.exchange, &plan);
        if let Err(unsent) = sent.await {
            core.counters.schedule_reports_lost.add();
            warn!(
                app,
                schedule,
                at = run.at,
                ?unsent,
                "could not tell that a scheduled task has ended"
            );
        }
    })
}

/// Publishes a letter that belongs to nobody's turn.
pub(super) async fn send(
    core: &Core,
    letter: &Letter,
    needs: &str,
    plan: &(dyn Fn() -> topology::Plan + Sync),
) -> Result<(), crate::publishing::Unsent> {
    let message = Message {
        exchange: &letter.exchange,
        key: &letter.key,
        needs,
        plan,
        properties: &|| letter.properties.clone(),
        payload: &letter.payload,
        must_route: false,
    };
    let timeout = core.config.publish_timeout;
    core.publish(&message, &mut Progress::new(&core.clock), timeout)
        .await
}
