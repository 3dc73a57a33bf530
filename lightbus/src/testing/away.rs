//! Apps that have lost a connection and are about to have it back: what they will do then is still to come.

use lightbus_broker::Snapshot;
use lightbus_runtime::Bus;
use lightbus_runtime::health::{Part, PartHealth, State};

/// Which app it is, and what it has lost. `None` if a test keeps them out.
pub(super) fn coming_back<'a>(
    apps: impl Iterator<Item = &'a Bus> + Clone,
    snapshot: &Snapshot,
) -> Option<String> {
    if snapshot.faults.refusing.is_some() || snapshot.faults.stalled {
        return None;
    }
    apps.clone().find_map(|app| {
        let health = app.health();
        let is_lost = |it: &&PartHealth| {
            matches!(it.part, Part::Connection(_) | Part::Consumer(_)) && it.state == State::Lost
        };
        let lost = health.parts.iter().find(is_lost);
        let lost = lost.map(|part| format!("{} has lost its {part}", app.app()));
        lost.or_else(|| unnoticed(app.app(), apps.clone(), snapshot))
    })
}

/// The broker knows of a lost connection before its app does.
fn unnoticed<'a>(
    name: &str,
    apps: impl Iterator<Item = &'a Bus>,
    snapshot: &Snapshot,
) -> Option<String> {
    let replicas = apps.filter(|app| app.app() == name);
    let parts = replicas.flat_map(|app| app.health().parts);
    let thought = parts.filter(|part| matches!(part.part, Part::Connection(_)));
    let thought = thought.filter(|part| part.state == State::Ready).count();
    let is_of = |connection: Option<&str>| {
        connection.and_then(|connection| connection.split(' ').next()) == Some(name)
    };
    let there = snapshot.connections.iter();
    let there = there.filter(|connection| is_of(connection.name.as_deref()));
    (there.count() < thought).then(|| format!("{name} has lost a connection"))
}
