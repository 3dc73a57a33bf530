//! From what was composed to what a message carries.

use std::time::UNIX_EPOCH;

use super::compose::{Node, Plan};
use super::next::{Bytes, Gather, Next, Step, ms, urgency};
use crate::task::message::{Due, TaskMessage};
use crate::task::task::Draft;

/// A row of what follows one another, or why it cannot be enqueued.
pub(super) fn lower(row: Vec<Node>, payload_limit: usize) -> Result<Vec<Next>, String> {
    let lowered = row.into_iter().map(|node| node_of(node, payload_limit));
    let mut row: Vec<Next> = lowered.collect::<Result<_, _>>()?;
    for at in 0..row.len() {
        let (before, after) = row.split_at_mut(at + 1);
        if let Some(Next::Group { to, .. } | Next::Each { to, .. }) = before.last_mut() {
            gather_for(to, after)?;
        }
    }
    Ok(row)
}

fn node_of(node: Node, payload_limit: usize) -> Result<Next, String> {
    let plan = |plan: Plan| lower(plan.row, payload_limit);
    let to = |first: Option<&[Next]>, ttl: Option<std::time::Duration>| {
        let last = first.and_then(last_name).unwrap_or_default();
        Gather {
            api: last.0,
            task: last.1,
            ttl_ms: ttl.map(ms),
        }
    };
    Ok(match node {
        Node::Task(draft) => Next::Task(step(*draft, payload_limit)?),
        Node::Rescue(draft) => Next::Rescue(step(*draft, payload_limit)?),
        Node::Each { each, ttl } => {
            let each = plan(each)?;
            Next::Each {
                to: to(Some(&each), ttl),
                each,
            }
        }
        Node::Group { members, ttl } => {
            let members = members
                .into_iter()
                .map(plan)
                .collect::<Result<Vec<_>, _>>()?;
            Next::Group {
                to: to(members.first().map(Vec::as_slice), ttl),
                members,
            }
        }
    })
}

/// The members of a group report to whom the next task belongs; if there is none, to whom they belong themselves.
fn gather_for(to: &mut Gather, after: &[Next]) -> Result<(), String> {
    if let Some((api, task)) = first_name(after) {
        (to.api, to.task) = (api, task);
    }
    match to.api.is_empty() {
        true => Err("a group without members, which nothing follows, has nothing to do".to_owned()),
        false => Ok(()),
    }
}

type Name = (String, String);

fn first_name(row: &[Next]) -> Option<Name> {
    row.iter().find_map(|next| match next {
        Next::Task(step) => Some((step.api.clone(), step.task.clone())),
        Next::Each { each, .. } => first_name(each),
        Next::Group { members, .. } => members.iter().find_map(|member| first_name(member)),
        Next::Join(_) | Next::Rescue(_) => None,
    })
}

fn last_name(row: &[Next]) -> Option<Name> {
    row.iter().rev().find_map(|next| match next {
        Next::Task(step) => Some((step.api.clone(), step.task.clone())),
        Next::Each { to, .. } | Next::Group { to, .. } => Some((to.api.clone(), to.task.clone())),
        Next::Join(_) | Next::Rescue(_) => None,
    })
}

fn step(mut draft: Draft, payload_limit: usize) -> Result<Step, String> {
    let name = draft.name();
    // From here on, whoever fills them knows where they are.
    draft.holes.clear();
    let message = draft.into_message(payload_limit);
    let message = message.map_err(|why| format!("its part {name}: {why}"))?;
    if message.options.unique.is_some() {
        return Err(format!(
            "its part {name} is unique, and a unique task cannot be part of a flow. Enqueue it alone, or have it enqueue what follows"
        ));
    }
    Ok(step_of(message))
}

fn step_of(message: TaskMessage) -> Step {
    let lane = message.lane().suffix();
    let TaskMessage {
        spec,
        payload,
        options,
    } = message;
    let (mut after_ms, mut at_ms) = (None, None);
    match options.due {
        Due::Now => {}
        Due::After(delay) => after_ms = Some(ms(delay)),
        Due::At(at) => at_ms = Some(ms(at.duration_since(UNIX_EPOCH).unwrap_or_default())),
    }
    Step {
        api: spec.api.to_owned(),
        task: spec.task.to_owned(),
        args: Bytes(payload),
        lane,
        urgency: urgency(options.priority),
        after_ms,
        at_ms,
        expires_ms: options.expires.or(spec.expires).map(ms),
        ttl_ms: options.result_ttl.or(spec.result_ttl).map(ms),
        headers: options.headers,
    }
}
