//! One task for a key.

use super::*;

#[lightbus::test]
async fn a_unique_task_is_there_once_until_it_is_done_or_dead(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_unique")]
    trait Api {
        #[task(retries = 0)]
        async fn sync(&self, user: u32) -> Result<(), String>;
        #[task(unique)]
        async fn once(&self, user: u32);
    }
    struct Worker(mpsc::UnboundedSender<u32>, Arc<Semaphore>);
    impl Api for Worker {
        async fn sync(&self, user: u32) -> Result<(), String> {
            self.1.acquire().await.expect("open").forget();
            let _ = self.0.send(user);
            match user {
                0 => Err("nobody".to_owned()),
                _ => Ok(()),
            }
        }
        async fn once(&self, user: u32) {
            self.1.acquire().await.expect("open").forget();
            let _ = self.0.send(user);
        }
    }
    let (bus, peer) = (bus.app("unique").await?, bus.app("peer").await?);
    let (api, other) = (ApiClient::new(&bus), ApiClient::new(&peer));
    let key = format!("user {}", std::process::id());
    let one = api.sync(1).unique(&key).enqueue().await?;
    // Another lease, as it is due later.
    let later = other
        .sync(2)
        .unique(&key)
        .after(10 * SECOND)
        .enqueue()
        .await;
    let Err(EnqueueError::Duplicate {
        holder, key: told, ..
    }) = later
    else {
        anyhow::bail!("{later:?}");
    };
    assert_eq!((holder.as_str(), &told), (one.id().message_id(), &key));
    let joined = other.sync(2).unique(&key).or_join().enqueue().await?;
    assert_eq!(joined.id(), one.id());
    // Another key, another task.
    other.sync(3).unique(format!("{key}!")).enqueue().await?;
    let (sender, mut reported) = mpsc::unbounded_channel();
    let leave = Arc::new(Semaphore::new(0));
    bus.serve(ApiServer::new(Worker(sender, Arc::clone(&leave))))
        .await?;
    // It runs, and still has its key.
    assert!(matches!(
        api.sync(1).unique(&key).enqueue().await,
        Err(EnqueueError::Duplicate { .. })
    ));
    leave.add_permits(2);
    let mut done = reports(&mut reported, 2).await?;
    done.sort_unstable();
    assert_eq!(done, [1, 3]);
    // Done, and dead, set it free.
    let free = async || api.sync(0).unique(&key).enqueue().await.is_ok();
    eventually("the key is free", free).await?;
    leave.add_permits(1);
    reports(&mut reported, 1).await?;
    eventually("the key is free again", async || {
        api.sync(5).unique(&key).enqueue().await.is_ok()
    })
    .await?;
    leave.add_permits(1);
    reports(&mut reported, 1).await?;
    // By its arguments.
    let first = api.once(7).enqueue().await?;
    assert!(matches!(
        api.once(7).enqueue().await,
        Err(EnqueueError::Duplicate { .. })
    ));
    assert_eq!(api.once(7).or_join().enqueue().await?.id(), first.id());
    api.once(8).enqueue().await?;
    leave.add_permits(2);
    reports(&mut reported, 2).await?;
    let long = api.once(1).unique("x".repeat(101)).enqueue().await;
    assert!(matches!(long, Err(EnqueueError::Rejected { .. })));
    Ok(())
}

#[lightbus::test]
async fn who_joins_a_task_knows_what_is_kept_of_it_and_when_it_is_due(
    bus: TestBus,
) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_joined")]
    trait Api {
        #[task]
        async fn sync(&self, user: u32) -> u32;
    }
    struct Worker;
    impl Api for Worker {
        async fn sync(&self, user: u32) -> u32 {
            user
        }
    }
    let (bus, peer) = (bus.app("joined").await?, bus.app("joining").await?);
    let (api, other) = (ApiClient::new(&bus), ApiClient::new(&peer));
    let key = |what| format!("{what} {}", std::process::id());
    let join = |what| other.sync(7).unique(key(what)).keep_result().or_join();

    let unkept = api.sync(1).unique(key("unkept")).enqueue().await?;
    let joined = join("unkept").enqueue().await?;
    assert_eq!(joined.id().to_string(), unkept.id().to_string());
    let result = tokio::time::timeout(LONG, joined.result().into_future()).await?;
    assert!(matches!(result, Err(TaskError::NotKept(_))), "{result:?}");

    let kept = api.sync(2).unique(key("kept")).keep_result();
    let kept = kept.enqueue().await?;
    let joined = join("kept").enqueue().await?;
    assert_eq!(joined.id().to_string(), kept.id().to_string());

    let later = api.sync(3).unique(key("later")).keep_result();
    let later = later.after(3600 * SECOND).enqueue().await?;
    let due = join("later").enqueue().await?;
    assert_eq!(due.id(), later.id());
    assert!(due.id().to_string().contains('@'), "{}", due.id());
    due.cancel().await?;

    bus.serve(ApiServer::new(Worker)).await?;
    assert_eq!(joined.result().timeout(LONG).await, Ok(2));
    for what in ["unkept", "kept"] {
        let free = async || {
            join(what)
                .enqueue()
                .await
                .is_ok_and(|it| it.id() != kept.id() && it.id() != unkept.id())
        };
        eventually("its key is free", free).await?;
    }
    Ok(())
}

#[lightbus::test]
async fn long_names_and_keys_are_told_apart_and_who_has_them(bus: TestBus) -> anyhow::Result<()> {
    #[lightbus::api(name = "task_with_a_rather_long_name.and_another_part_of_it")]
    trait Api {
        #[task]
        async fn synchronise_the_users_of_another_system(&self);
    }
    let api = ApiClient::new(&bus);
    let key = |n: u32| format!("{} {n} {}", "k".repeat(80), std::process::id());
    let enqueue = |n| {
        let task = api.synchronise_the_users_of_another_system();
        task.unique(key(n)).enqueue()
    };
    let one = enqueue(1).await?;
    enqueue(2).await?;
    let Err(EnqueueError::Duplicate { holder, .. }) = enqueue(1).await else {
        anyhow::bail!("it is there twice");
    };
    assert_eq!(holder, one.id().message_id());
    Ok(())
}
