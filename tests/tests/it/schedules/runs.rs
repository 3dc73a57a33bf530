//! What becomes of what was fired.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_tell_how_runs_end_and_that_is_remembered() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_history")]
    trait Api {
        #[task(retries = 0)]
        async fn odd(&self, fails: bool) -> Result<(), String>;
    }
    struct Provider;
    impl Api for Provider {
        async fn odd(&self, fails: bool) -> Result<(), String> {
            if fails { Err("odd".to_owned()) } else { Ok(()) }
        }
    }
    async fn start(broker: &TestBroker) -> anyhow::Result<(Bus, [Scheduled; 2])> {
        let bus = broker.bus("history").await?;
        let api = ApiClient::new(&bus);
        let yearly = |name| bus.schedule(name).cron("@yearly");
        let good = yearly("good").run(api.odd(false)).await?;
        let bad = yearly("bad").run(api.odd(true)).await?;
        Ok((bus, [good, bad]))
    }
    let broker = TestBroker::start().await?;
    let provider = broker.bus("history-provider").await?;
    provider.serve(ApiServer::new(Provider)).await?;
    let (bus, schedules) = start(&broker).await?;
    for scheduled in &schedules {
        scheduled.run_now().await?;
    }
    let ended = |outcome| {
        move |status: &ScheduleStatus| {
            let ended = status.history.first().and_then(|run| run.ended);
            ended.is_some_and(|(at, how)| how == outcome && at <= SystemTime::now())
        }
    };
    wait(&schedules[0], "one is done", ended(RunOutcome::Done)).await?;
    wait(&schedules[1], "one failed", ended(RunOutcome::Failed)).await?;
    bus.close().await;
    let (bus, schedules) = start(&broker).await?;
    wait(&schedules[0], "it is remembered", ended(RunOutcome::Done)).await?;
    wait(&schedules[1], "it is remembered", ended(RunOutcome::Failed)).await?;
    assert_eq!(provider.counts().schedule_reports_lost, 0);
    bus.close().await;
    provider.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_occurrence_waits_for_no_earlier_one_but_may_be_left_out_for_it() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_overlap")]
    trait Api {
        #[task]
        async fn slow(&self) -> Result<(), String>;
    }
    struct Provider(mpsc::UnboundedSender<()>, Arc<tokio::sync::Semaphore>);
    impl Api for Provider {
        async fn slow(&self) -> Result<(), String> {
            let _ = self.0.send(());
            self.1.acquire().await.map_err(|e| e.to_string())?.forget();
            Ok(())
        }
    }
    let broker = TestBroker::start().await?;
    let (begun, mut begins) = mpsc::unbounded_channel();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let provider = broker.bus("overlap-provider").await?;
    let slow = Provider(begun, Arc::clone(&gate));
    provider.serve(ApiServer::new(slow)).await?;
    let bus = broker.bus("overlap").await?;
    let schedule = bus.schedule("poll").every(TICK).overlap(Overlap::Skip);
    schedule.run(ApiClient::new(&bus).slow()).await?;
    for n in 1..=3 {
        begins.recv().await.unwrap();
        let left_out = bus.counts().schedules_overlapped;
        eventually("some are left out", async || {
            bus.counts().schedules_overlapped >= left_out + 2
        })
        .await?;
        assert_eq!(bus.counts().schedules_fired, n);
        gate.add_permits(1);
    }
    begins.recv().await.unwrap();
    gate.add_permits(100);
    bus.close().await;
    provider.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_knows_which_occurrence_of_which_schedule_it_is() -> anyhow::Result<()> {
    #[lightbus::api(name = "schedules_context")]
    trait Api {
        #[task(backoff = "1s fixed")]
        async fn tell(&self) -> Result<(), String>;
    }
    struct Provider(mpsc::UnboundedSender<(u32, Option<ScheduledOccurrence>)>);
    impl Api for Provider {
        async fn tell(&self) -> Result<(), String> {
            let context = Context::current().unwrap();
            let told = (context.attempt(), context.scheduled());
            self.0.send(told).map_err(|error| error.to_string())?;
            match context.attempt() {
                0 => Err("once more".to_owned()),
                _ => Ok(()),
            }
        }
    }
    let broker = start_with(&["lb.task.schedules_context"]).await?;
    let (bus, provider) = (broker.bus("knows").await?, broker.bus("known").await?);
    let (sender, mut told) = mpsc::unbounded_channel();
    provider.serve(ApiServer::new(Provider(sender))).await?;
    let api = ApiClient::new(&bus);
    api.tell().enqueue().await?;
    assert_eq!(told.recv().await, Some((0, None)));
    assert_eq!(told.recv().await, Some((1, None)));

    let before = SystemTime::now() - Duration::from_millis(1);
    let yearly = bus.schedule("yearly").cron("@yearly").run(api.tell());
    yearly.await?.run_now().await?;
    let (attempt, asked) = told.recv().await.unwrap();
    let asked = asked.unwrap();
    assert_eq!((asked.schedule.as_str(), asked.manual), ("yearly", true));
    assert!((before..=SystemTime::now()).contains(&asked.time));
    assert_eq!(told.recv().await, Some((attempt + 1, Some(asked))));

    let often = bus.schedule("often").every(TICK).run(api.tell()).await?;
    let (_, due) = told.recv().await.unwrap();
    often.stop();
    let due = due.unwrap();
    let at = due.time.duration_since(UNIX_EPOCH)?.as_millis();
    assert_eq!((due.manual, at % TICK.as_millis()), (false, 0));
    assert_eq!(
        (due.app.as_str(), due.schedule.as_str()),
        (bus.app(), "often")
    );
    bus.close().await;
    provider.close().await;
    Ok(())
}
