//! What buses say of themselves while something goes wrong.

use std::sync::{Arc, Mutex, PoisonError};

use lightbus::Bus;
use lightbus::health::{Part, State};
use tokio::task::JoinHandle;

use super::outcome::Outcome;

/// Every state that the parts of a bus have been in since this was made.
#[derive(Debug)]
pub struct HealthLog {
    told: Arc<Mutex<Vec<(Part, State)>>>,
    listening: JoinHandle<()>,
}

impl HealthLog {
    /// Notes what this bus tells from now on.
    pub fn of(bus: &Bus) -> Self {
        let told = Arc::<Mutex<Vec<_>>>::default();
        let (mut changes, notes) = (bus.health_changes(), Arc::clone(&told));
        let listening = tokio::spawn(async move {
            while let Some(part) = changes.next().await {
                let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
                notes.push((part.part, part.state));
            }
        });
        Self { told, listening }
    }

    fn states(&self, part: &Part) -> Vec<State> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let states = told.iter().filter(|(of, _)| of == part);
        states.map(|(_, state)| *state).collect()
    }

    /// Has the bus told that both its connections were lost?
    pub fn lost_both(&self) -> bool {
        connections().all(|part| self.states(&part).contains(&State::Lost))
    }

    /// Both connections have to have been lost, and to be ready again.
    pub fn check_connections(&self, outcome: &mut Outcome) {
        for part in connections() {
            self.check(outcome, &part);
        }
    }

    /// So has the consumer of a queue.
    pub fn check_consumer(&self, outcome: &mut Outcome, queue: &str) {
        self.check(outcome, &Part::Consumer(queue.to_owned()));
    }

    fn check(&self, outcome: &mut Outcome, part: &Part) {
        let states = self.states(part);
        let told = states.contains(&State::Lost) && states.last() == Some(&State::Ready);
        outcome.check(
            told,
            format!("the bus told that {part:?} was lost and is ready again: {states:?}"),
        );
    }
}

impl Drop for HealthLog {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn connections() -> impl Iterator<Item = Part> {
    ["publish", "consume"].into_iter().map(Part::Connection)
}
