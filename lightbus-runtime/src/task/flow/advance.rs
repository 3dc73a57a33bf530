//! What the end of a task sets off: what follows it is published, with its value.

use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::debug;
use uuid::Uuid;

use super::next::{Gather, MOST_MEMBERS, Member, Next, brief, following};
use super::output::{elements, list};
use super::posting::{Posting, next_group, next_task};
use super::word::{Part, Word};
use super::{Place, Stuck, join, record};
use crate::boxed::BoxedFor;
use crate::bus::Core;
use crate::task::journal::write;
use crate::task::record::{Progress, Says};
use crate::topology::Log;

/// How many members of a group wait for their confirmation together.
const TOGETHER: usize = 256;

/// Publishes what comes next after `place`, where `value` came out.
pub(super) fn advance<'a>(
    core: &'a Core,
    place: Place<'a>,
    then: &'a [Next],
    value: &'a [u8],
) -> BoxedFor<'a, Result<(), Stuck>> {
    Box::pin(async move {
        let is_rescue = |next: &&Next| matches!(next, Next::Rescue(_));
        let skipped = then.iter().take_while(is_rescue).count();
        let Some((next, rest)) = then[skipped..].split_first() else {
            return Ok(());
        };
        match next {
            Next::Task(step) => {
                let place = place.at(next_task(place.id));
                let posting = Posting::step(core, &place, step, rest, value)?;
                posting.store(core).await.map_err(Stuck::Refused)?;
                mention(core, place, rest).await;
                Ok(())
            }
            Next::Group { to, members } => {
                let members = members.iter().map(|member| (&**member, value));
                let lot = brief(place.id, value);
                fan_out(core, place, to, lot, members.collect(), rest).await
            }
            Next::Each { to, each } => {
                let Some(elements) = elements(value) else {
                    let why = "what was returned is no list, whose elements could go on";
                    return Err(Stuck::Cannot(why.to_owned()));
                };
                let members = elements.into_iter().map(|element| (&**each, element));
                let lot = brief(place.id, value);
                fan_out(core, place, to, lot, members.collect(), rest).await
            }
            Next::Join(member) => report(core, place, member, rest, value).await,
            Next::Rescue(_) => Ok(()),
        }
    })
}

/// How many tasks and groups follow one another.
pub(super) fn length(row: &[Next]) -> u32 {
    let parts = row.iter().filter(|next| !matches!(next, Next::Rescue(_)));
    u32::try_from(parts.count()).unwrap_or(u32::MAX)
}

/// Tells those who look on how far a flow has come: before `rest`, one is at work. What is lost of it costs them no more than one word.
async fn mention(core: &Core, place: Place<'_>, rest: &[Next]) {
    let is_member = rest.iter().any(|next| matches!(next, Next::Join(_)));
    let done = place.length.saturating_sub(length(rest) + 1);
    let Some((ttl, end)) = end(place.id, rest).and_then(|end| Some((end.ttl_ms?, end))) else {
        return;
    };
    if is_member || done == 0 {
        return;
    }
    let part = f64::from(done) / f64::from(place.length);
    let text = format!("{done} of {} are done", place.length);
    let says = Says::Progress(Progress::new(part, &text));
    let record = record(&core.clock, end.id, place.replayed, ttl, says);
    if let Err(refusal) = write(core, end.api, Log::Journal, &record).await {
        debug!(
            flow = place.flow,
            ?refusal,
            "cannot write down how a flow goes on"
        );
    }
}

/// Begins all members, each with its value.
async fn fan_out<'a>(
    core: &'a Core,
    place: Place<'a>,
    to: &'a Gather,
    lot: u64,
    members: Vec<(&'a [Next], &'a [u8])>,
    rest: &'a [Next],
) -> Result<(), Stuck> {
    let place = place.at(next_group(place.id));
    match u32::try_from(members.len()) {
        Ok(0) => gathered(core, place, to, rest, &list([].into_iter())).await,
        Ok(of) if of <= MOST_MEMBERS => {
            let first = Member {
                to: to.clone(),
                id: place.id.as_u128(),
                lot,
                index: 0,
                of,
            };
            let rows = rows(core, place, first, members, rest);
            let begun = stream::iter(rows).buffer_unordered(TOGETHER);
            begun.try_collect::<()>().await?;
            mention(core, place, rest).await;
            Ok(())
        }
        _ => Err(Stuck::Cannot(format!(
            "a group of {} members is too large, the limit is {MOST_MEMBERS}",
            members.len()
        ))),
    }
}

/// The beginnings of all members of the group `place`. Each is made when its turn comes.
fn rows<'a>(
    core: &'a Core,
    place: Place<'a>,
    first: Member,
    members: Vec<(&'a [Next], &'a [u8])>,
    rest: &'a [Next],
) -> Box<dyn Iterator<Item = BoxedFor<'a, Result<(), Stuck>>> + Send + 'a> {
    Box::new((0..).zip(members).map(move |(index, (row, value))| {
        let member = Member {
            index,
            ..first.clone()
        };
        let what = format!("{}/{index}", member.lot);
        let row = [row, &[Next::Join(member)], rest].concat();
        begin_member(core, place.at(following(place.id, &what)), row, value)
    }))
}

fn begin_member<'a>(
    core: &'a Core,
    place: Place<'a>,
    row: Vec<Next>,
    value: &'a [u8],
) -> BoxedFor<'a, Result<(), Stuck>> {
    Box::pin(async move { advance(core, place, &row, value).await })
}

/// All members' values are known.
pub(super) async fn gathered(
    core: &Core,
    place: Place<'_>,
    to: &Gather,
    rest: &[Next],
    values: &[u8],
) -> Result<(), Stuck> {
    if let Some(ttl) = to.ttl_ms {
        let record = record(
            &core.clock,
            place.id,
            place.replayed,
            ttl,
            Says::Done(values.to_vec()),
        );
        let written = write(core, &to.api, Log::Journal, &record).await;
        written.map_err(Stuck::Refused)?;
    }
    advance(core, place, rest, values).await
}

async fn report(
    core: &Core,
    place: Place<'_>,
    member: &Member,
    rest: &[Next],
    value: &[u8],
) -> Result<(), Stuck> {
    let (size, limit) = (value.len(), core.config.payload_limit);
    if size > limit {
        return Err(Stuck::Cannot(format!(
            "what it returned takes {size} bytes, and a member of a group may return {limit}. Return a reference, or raise `payload_limit` everywhere"
        )));
    }
    let part = Part {
        values: vec![(member.index, super::next::Bytes(value.to_vec()))],
        ..Part::of(member, rest, place)
    };
    let told = join::tell(core, &member.to.api, &Word::of(part)).await;
    told.map_err(Stuck::Refused)
}

/// What a row ends in.
#[derive(Debug, PartialEq)]
pub(super) struct End<'a> {
    pub(super) id: Uuid,
    pub(super) api: &'a str,
    pub(super) task: &'a str,
    pub(super) ttl_ms: Option<u64>,
}

/// The last that follows `place`; `None` if nothing does.
pub(super) fn end(place: Uuid, then: &[Next]) -> Option<End<'_>> {
    let (mut id, mut last) = (place, None);
    for next in then {
        let (api, task, ttl_ms) = match next {
            Next::Rescue(_) => continue,
            Next::Task(step) => {
                id = next_task(id);
                (&step.api, &step.task, step.ttl_ms)
            }
            Next::Group { to, .. } | Next::Each { to, .. } => {
                id = next_group(id);
                (&to.api, &to.task, to.ttl_ms)
            }
            Next::Join(member) => {
                id = Uuid::from_u128(member.id);
                (&member.to.api, &member.to.task, member.to.ttl_ms)
            }
        };
        last = Some((api, task, ttl_ms));
    }
    let (api, task, ttl_ms) = last?;
    Some(End {
        id,
        api,
        task,
        ttl_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::flow::next::Step;

    fn task(task: &str, ttl_ms: Option<u64>) -> Step {
        Step {
            api: "auth".to_owned(),
            task: task.to_owned(),
            ttl_ms,
            ..Step::default()
        }
    }

    fn each(ttl_ms: Option<u64>) -> Next {
        let to = Gather {
            api: "auth".to_owned(),
            task: "each".to_owned(),
            ttl_ms,
        };
        Next::Each {
            to,
            each: vec![Next::Task(task("inside", None))],
        }
    }

    #[test]
    fn the_end_of_a_row_is_known_when_it_begins() {
        let first = crate::clock::system::new_id();
        assert_eq!(end(first, &[]), None);
        assert_eq!(end(first, &[Next::Rescue(task("rescue", None))]), None);
        let row = [
            each(None),
            Next::Task(task("last", Some(5))),
            Next::Rescue(task("rescue", Some(7))),
        ];
        let group = next_group(first);
        let last = End {
            id: next_task(group),
            api: "auth",
            task: "last",
            ttl_ms: Some(5),
        };
        assert_eq!(end(first, &row).as_ref(), Some(&last));
        // As a member of the group sees it.
        let join = Next::Join(Member {
            to: Gather::default(),
            id: group.as_u128(),
            lot: 1,
            index: 3,
            of: 4,
        });
        let member = [&[Next::Task(task("inside", None)), join], &row[1..]].concat();
        assert_eq!(end(following(group, "3"), &member), Some(last));
        let alone = end(first, &row[..1]).map(|end| (end.id, end.task.to_owned()));
        assert_eq!(alone, Some((group, "each".to_owned())));
    }
}
