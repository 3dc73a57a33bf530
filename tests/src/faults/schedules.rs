//! A schedule of three replicas, each behind a network of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lightbus::{Bus, Context, Missed};

use super::outcome::Outcome;
use super::stage::{BACKOFF, HEARTBEAT, Kind, Pace, Stage};
use crate::eventually;
use crate::proxy::{Mode, Proxy};

const TICK: i64 = 300;

#[lightbus::api(name = "faults_schedule")]
trait Ticking {
    #[task]
    async fn tick(&self) -> Result<(), String>;
}

/// The occurrences that were run: how often under which id, by the time that they are for.
#[derive(Clone, Default)]
struct Ticks(Arc<Mutex<BTreeMap<i64, Vec<String>>>>);

impl Ticking for Ticks {
    async fn tick(&self) -> Result<(), String> {
        let context = Context::current().ok_or("outside of a handler")?;
        let id = context.message_id().to_owned();
        let at = id.split(':').nth(3).and_then(|at| at.parse().ok());
        let at = at.ok_or_else(|| format!("`{id}` is no occurrence's"))?;
        self.lock().entry(at).or_default().push(id);
        Ok(())
    }
}

impl Ticks {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i64, Vec<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns after some more, with how long that took.
    async fn flowing(&self) -> anyhow::Result<Duration> {
        let (began, before) = (Instant::now(), self.lock().len());
        eventually("it is fired", async || self.lock().len() >= before + 3).await?;
        Ok(began.elapsed())
    }

    fn judge(&self, outcome: &mut Outcome) -> anyhow::Result<()> {
        let ticks = self.lock();
        let (first, _) = ticks.first_key_value().context("nothing was fired")?;
        let (last, _) = ticks.last_key_value().context("nothing was fired")?;
        let expected = (last - first) / TICK + 1;
        outcome.confirmed = usize::try_from(expected)?;
        outcome.handled = ticks.len();
        outcome.lost = outcome.confirmed.saturating_sub(ticks.len());
        outcome.duplicated = ticks.values().map(|ids| ids.len() - 1).sum();
        let differs = |ids: &&Vec<String>| ids.iter().collect::<BTreeSet<_>>().len() > 1;
        let twice = ticks.values().filter(differs).count();
        outcome.check(twice == 0, format!("no occurrence has two ids: {twice}"));
        let on_time = ticks.keys().all(|at| at % TICK == 0);
        outcome.check(on_time, "every occurrence is a multiple of the interval");
        Ok(())
    }
}

struct Replica {
    proxy: Proxy,
    bus: Bus,
}

impl Replica {
    async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let proxy = stage.proxy().await?;
        let bus = stage.app("replica", proxy.url()).connect().await?;
        let tick = TickingClient::new(&bus).tick();
        let every = Duration::from_millis(TICK.unsigned_abs());
        let schedule = bus.schedule("poll").every(every).missed(Missed::All);
        schedule.run(tick).await?;
        Ok(Self { proxy, bus })
    }

    fn fired(&self) -> u64 {
        self.bus.counts().schedules_fired
    }
}

/// Row 27: whichever replica fires is cut off in every way, and the broker is killed.
pub(super) async fn replicas(stage: &Stage) -> anyhow::Result<Outcome> {
    let app = stage.app_name("replica");
    stage.leaves(format!("lb.q.{app}.cron"));
    for queue in ["", "+high", "+low"] {
        stage.leaves(format!("lb.task.faults_schedule{queue}"));
    }
    stage.leaves("lb.task.faults_schedule.dead");
    let worker = stage.app("worker", stage.url()).connect().await?;
    let ticks = Ticks::default();
    worker.serve(TickingServer::new(ticks.clone())).await?;
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(Replica::start(stage).await?);
    }
    ticks.flowing().await?;
    let mut outcome = Outcome::default();
    let mut takeovers = 0;
    for (n, fault) in faults(stage.pace()).iter().enumerate() {
        let leader = leader(&replicas, &ticks).await?;
        go_wrong(stage, &replicas[leader].proxy, *fault, &ticks, &mut outcome).await?;
        takeovers += usize::from(self::leader(&replicas, &ticks).await? != leader);
        if n % 4 == 1 {
            kill(stage).await?;
            outcome.recovered(ticks.flowing().await?, BACKOFF);
        }
    }
    outcome.note(format!("{takeovers} takeovers"));
    for replica in &replicas {
        replica.bus.close().await;
    }
    // What was fired last is still to be run.
    let mut ran = 0;
    while ran != ticks.lock().len() {
        ran = ticks.lock().len();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    worker.close().await;
    ticks.judge(&mut outcome)?;
    Ok(outcome)
}

/// `None`: the connections are reset.
fn faults(pace: Pace) -> Vec<Option<Mode>> {
    let all = [
        None,
        Some(Mode::Blackhole),
        Some(Mode::Stall),
        Some(Mode::StallToClient),
        None,
        Some(Mode::StallToBroker),
        Some(Mode::BlackholeToBroker),
        None,
    ];
    match pace {
        Pace::Quick => all[..2].to_vec(),
        Pace::Usual => all.to_vec(),
        Pace::Full => all.repeat(3),
    }
}

async fn leader(replicas: &[Replica], ticks: &Ticks) -> anyhow::Result<usize> {
    let before: Vec<u64> = replicas.iter().map(Replica::fired).collect();
    ticks.flowing().await?;
    let most = (0..replicas.len()).max_by_key(|n| replicas[*n].fired() - before[*n]);
    most.context("there is no replica")
}

/// Until another one fires, or the same one again.
async fn go_wrong(
    stage: &Stage,
    proxy: &Proxy,
    fault: Option<Mode>,
    ticks: &Ticks,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    // The broker looks each half of a heartbeat whether it has heard nothing for two; RabbitMQ takes one more.
    let half_open = HEARTBEAT * 4 + Duration::from_secs(2);
    if let Some(mode) = fault {
        proxy.set(mode);
        let flowing = ticks.flowing().await?;
        outcome.in_time(format!("the takeover after {mode:?}"), flowing, half_open);
        // The one who was cut off notices as well.
        tokio::time::sleep(stage.seconds(HEARTBEAT.as_secs_f64(), 10.0)).await;
    }
    proxy.cut();
    proxy.set(Mode::Pass);
    outcome.recovered(ticks.flowing().await?, BACKOFF);
    Ok(())
}

async fn kill(stage: &Stage) -> anyhow::Result<()> {
    if stage.kind() == Kind::Embedded {
        stage.stop().await?;
        return stage.resume().await;
    }
    stage.kill().await?;
    stage.restart().await
}
