//! Apps that fit together, and apps that do not.

use std::time::Duration;

use lightbus::testing::{Loose, TestBus, Wiring, assert_wired};
use lightbus::{Bus, Error};

use crate::failure;

#[lightbus::api(name = "sales")]
pub trait SalesApi {
    async fn price(&self, part: String) -> u64;
    #[task]
    async fn restock(&self);
    #[task(queue = "slow")]
    async fn count_all(&self);
    #[event]
    fn sold(#[key] part: String);
    #[event]
    fn ran_out(part: String);
}

struct Sales;

impl SalesApi for Sales {
    async fn price(&self, part: String) -> u64 {
        part.len() as u64
    }

    async fn restock(&self) {}

    async fn count_all(&self) {}
}

/// The same API, as it was a year ago.
mod older {
    #[lightbus::api(name = "sales")]
    pub trait SalesApi {
        async fn price(&self, part: String, #[lightbus(secret)] customer: String) -> u64;
        #[event]
        fn sold(part: String);
    }

    pub(super) struct Sales;

    impl SalesApi for Sales {
        async fn price(&self, _: String, _: String) -> u64 {
            0
        }
    }
}

async fn sales(bus: &Bus) -> Result<(), Error> {
    bus.serve(SalesApiServer::new(Sales)).await?;
    let sales = SalesApiClient::new(bus);
    let nightly = bus.schedule("nightly").cron("0 3 * * *");
    nightly.run(sales.restock()).await.map(drop)
}

async fn support(bus: &Bus) -> Result<(), Error> {
    let sales = SalesApiClient::new(bus);
    let sold = sales.sold().only(Sold::part_is("wheel"));
    sold.listen("remember", |_: Sold| async {}).await?;
    let ran_out = sales.ran_out();
    ran_out.listen("warn", |_: RanOut| async {}).await.map(drop)
}

#[lightbus::test]
async fn apps_that_fit_together_are_wired(bus: TestBus) -> anyhow::Result<()> {
    let [one, two, web] = ["sales", "support", "web"];
    let (one, two, web) = (
        bus.app(one).await?,
        bus.app(two).await?,
        bus.app(web).await?,
    );
    sales(&one).await?;
    support(&two).await?;
    let _ = SalesApiClient::new(&web);
    assert_wired(&[&one, &two, &web]);
    Ok(())
}

#[tokio::test]
async fn all_that_leads_nowhere_is_listed_with_what_to_do() {
    let text = failure(|bus| async move {
        let (one, two) = (
            bus.app("support").await.unwrap(),
            bus.app("web").await.unwrap(),
        );
        support(&one).await.unwrap();
        let client = SalesApiClient::new(&two);
        let nightly = two.schedule("nightly").every(Duration::from_secs(3600));
        nightly.run(client.count_all()).await.unwrap();
        let third = bus.app("shop").await.unwrap();
        let _ = SalesApiClient::new(&third);
        assert_wired(&[&one, &two, &third]);
    })
    .await;
    assert_eq!(
        text,
        "there are 4 loose ends between the apps:\n  \
         - the listener `remember` of support waits for sales.sold (only of wheel), and no app publishes events of `sales`: set up the one that does\n  \
         - the listener `warn` of support waits for sales.ran_out, and no app publishes events of `sales`: set up the one that does\n  \
         - nobody serves sales.price, sales.count_all, sales.restock, and shop has a client of it: set up the app that serves it, or take out the client\n  \
         - the schedule `nightly` of web fires sales.count_all, and nobody works on that: have an app serve it, with its tasks and this one's queue among them\n  \
         What is meant to be so is an exception: `Wiring::of(&[…]).except(\"sales.sold\").assert()`"
    );
}

#[lightbus::test]
async fn what_is_meant_to_be_loose_is_an_exception(bus: TestBus) -> anyhow::Result<()> {
    let app = bus.app("sales").await?;
    let serving = app.serve(SalesApiServer::new(Sales)).calls_only();
    let serving = serving.await?;
    let wiring = || Wiring::of(&[&app]);
    let unheard = Loose::Unheard {
        api: "sales".to_owned(),
        events: vec!["ran_out".to_owned(), "sold".to_owned()],
        by: vec!["sales".to_owned()],
    };
    assert_eq!(wiring().loose(), [unheard]);
    assert_eq!(wiring().except("sales.sold").loose().len(), 1);
    wiring().except("sales").assert();
    wiring()
        .except("sales.sold")
        .except("sales.ran_out")
        .assert();
    serving.stop().await;
    let app = "sales".to_owned();
    assert_eq!(wiring().loose(), [Loose::Idle { app }], "it serves no more");
    Ok(())
}

#[lightbus::test]
async fn queues_that_nobody_chose_are_not_worked_on(bus: TestBus) -> anyhow::Result<()> {
    let (app, web) = (bus.app("sales").await?, bus.app("web").await?);
    let serve = app.serve(SalesApiServer::new(Sales));
    serve.queues_except(["slow"]).await?;
    let _ = SalesApiClient::new(&web);
    let wiring = Wiring::of(&[&app, &web]);
    let loose = wiring.except("sales.sold").except("sales.ran_out").loose();
    let unserved = Loose::Unserved {
        api: "sales".to_owned(),
        calls: Vec::new(),
        tasks: vec!["count_all".to_owned()],
        by: vec!["web".to_owned()],
    };
    assert_eq!(loose, [unserved]);
    Ok(())
}

#[lightbus::test]
async fn versions_that_differ_are_told(bus: TestBus) -> anyhow::Result<()> {
    let (old, new) = (bus.app("old").await?, bus.app("new").await?);
    let (reader, _) = (bus.app("reader").await?, older::SalesApiEvents::new(&old));
    old.serve(older::SalesApiServer::new(older::Sales)).await?;
    let listener = support(&reader);
    listener.await?;
    let told: Vec<_> = Wiring::of(&[&old, &reader])
        .loose()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "the listener `warn` of reader waits for sales.ran_out, and old does not have it in its version of `sales`: bring both to the same version"
        ]
    );
    new.serve(SalesApiServer::new(Sales)).await?;
    let told = Wiring::of(&[&old, &new, &reader]).loose();
    let versions = Loose::Versions {
        api: "sales".to_owned(),
        one: "old".to_owned(),
        other: "new".to_owned(),
        differing: ["count_all", "price", "ran_out", "restock"]
            .map(str::to_owned)
            .to_vec(),
    };
    assert_eq!(told, [versions]);
    Ok(())
}

#[lightbus::test]
async fn an_app_that_was_not_started_proves_nothing(bus: TestBus) -> Result<(), Error> {
    let (one, other) = (bus.app("one").await?, bus.app("other").await?);
    sales(&one).await?;
    let idle = Loose::Idle {
        app: "other".to_owned(),
    };
    let wiring = Wiring::of(&[&one, &other]);
    assert!(wiring.loose().contains(&idle), "{:?}", wiring.loose());
    assert!(!wiring.except("other").loose().contains(&idle));
    Ok(())
}
