//! How a task ended, with its types.

use super::*;

macro_rules! typed {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(retries = 0)]
                async fn divide(&self, a: i64, b: i64) -> Result<Quotient, MathError>;
                #[task(result_ttl = "1m")]
                async fn plain(&self, n: u32) -> u32;
                #[task(retries = 0, timeout = "100ms")]
                async fn bad(&self, how: String) -> Result<Vec<u8>, MathError>;
            }
            #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            pub(super) struct Quotient {
                pub(super) value: i64,
                pub(super) rest: i64,
            }
            #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            pub(super) enum MathError {
                DivisionByZero { dividend: i64 },
            }
            pub(super) struct Worker;
            impl Api for Worker {
                async fn divide(&self, a: i64, b: i64) -> Result<Quotient, MathError> {
                    match b {
                        0 => Err(MathError::DivisionByZero { dividend: a }),
                        _ => Ok(Quotient {
                            value: a / b,
                            rest: a % b,
                        }),
                    }
                }
                async fn plain(&self, n: u32) -> u32 {
                    n + 1
                }
                async fn bad(&self, how: String) -> Result<Vec<u8>, MathError> {
                    match how.as_str() {
                        "panics" => panic!("the secret"),
                        "hangs" => std::future::pending().await,
                        _ => Ok(vec![255; 3 << 20]),
                    }
                }
            }
        }
    };
}

typed!(types, "result_types");
typed!(ends, "result_ends");
typed!(unkept, "result_unkept");
typed!(many, "result_many");

#[lightbus::test]
async fn a_value_and_an_error_keep_their_types_in_every_process(
    bus: TestBus,
) -> anyhow::Result<()> {
    use types::*;
    let (peer, worker, other) = (
        bus.app("peer").await?,
        bus.app("worker").await?,
        bus.app("other").await?,
    );
    let api = ApiClient::new(&peer);
    let good = api.divide(17, 5).keep_result().enqueue().await?;
    let bad = api.divide(17, 0).keep_result().enqueue().await?;
    let plain = api.plain(7).enqueue().await?;
    assert_eq!(good.status().await?, TaskStatus::Waiting);
    let short = good.result().timeout(Duration::from_millis(50)).await;
    assert!(
        matches!(&short, Err(TaskError::Timeout(why)) if why.detail.contains("has not begun")),
        "{short:?}"
    );
    worker.serve(ApiServer::new(Worker)).await?;
    let quotient = Quotient { value: 3, rest: 2 };
    assert_eq!(good.result().await, Ok(quotient));
    assert_eq!(plain.result().await, Ok(8));
    let zero = TaskError::Domain(MathError::DivisionByZero { dividend: 17 });
    assert_eq!(bad.result().await, Err(zero.clone()));
    assert_eq!(elsewhere(&other, &bad)?.result().await, Err(zero));
    let good = elsewhere(&other, &good)?;
    assert_eq!(good.result().await, Ok(Quotient { value: 3, rest: 2 }));
    assert_eq!(good.status().await?, TaskStatus::Done);
    assert_eq!(bad.status().await?, TaskStatus::Failed);
    // Another version of the API.
    let other_type = other.task::<String, String>(good.id().clone());
    let misread = other_type.result().await;
    assert!(
        matches!(misread, Err(TaskError::BadResult(_))),
        "{misread:?}"
    );
    assert_eq!(worker.counts().task_records_ignored, 0);
    Ok(())
}

#[lightbus::test]
async fn other_ends_are_told_without_what_is_for_the_log(bus: TestBus) -> anyhow::Result<()> {
    use ends::*;
    bus.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&bus);
    let panics = api.bad("panics").keep_result().enqueue().await?;
    let hangs = api.bad("hangs").keep_result().enqueue().await?;
    let large = api.bad("large").keep_result().enqueue().await?;
    for (handle, says) in [(&panics, "it panicked"), (&hangs, "its timeout")] {
        let Err(TaskError::Failed(failure)) = handle.result().await else {
            anyhow::bail!("it failed otherwise");
        };
        assert!(failure.detail.contains(says), "{failure}");
        assert!(!failure.detail.contains("secret"), "{failure}");
        assert_eq!(failure.attempts, 1);
    }
    let large = large.result().await;
    assert!(
        matches!(&large, Err(TaskError::BadResult(why)) if why.detail.contains("limit")),
        "{large:?}"
    );
    assert_eq!(bus.counts().results_lost, 1);
    let late = api.divide(1, 1).keep_result();
    let late = late.expires(Duration::ZERO).enqueue().await?;
    assert!(matches!(late.result().await, Err(TaskError::Expired(_))));
    assert_eq!(late.status().await?, TaskStatus::Expired);
    Ok(())
}

#[lightbus::test]
async fn what_nobody_asked_to_keep_is_not_kept_and_says_so_at_once(
    bus: TestBus,
) -> anyhow::Result<()> {
    use unkept::*;
    bus.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&bus);
    let handle = api.divide(4, 2).enqueue().await?;
    assert!(handle.id().to_string().ends_with("~unkept"));
    let by_id = elsewhere(&bus, &handle)?;
    for result in [handle.result().await, by_id.result().await] {
        let told = result.map_err(|error| format!("{error:?}"));
        assert!(told.is_err_and(|told| told.contains("keep_result")));
    }
    assert!(matches!(handle.status().await, Err(TaskError::NotKept(_))));
    assert_eq!(handle.progress().next().await, None);
    let long = api.divide(4, 2).result_ttl(Duration::from_secs(8 * 86_400));
    assert!(long.enqueue().await.is_err());
    // Kept for no time at all.
    let gone = api
        .divide(4, 2)
        .result_ttl(Duration::ZERO)
        .enqueue()
        .await?;
    eventually("it is gone", async || {
        matches!(gone.status().await, Err(TaskError::Gone(_)))
    })
    .await?;
    assert!(matches!(gone.result().await, Err(TaskError::Gone(_))));
    Ok(())
}

#[lightbus::test]
async fn a_thousand_wait_at_once(bus: TestBus) -> anyhow::Result<()> {
    use many::*;
    let (peer, worker) = (bus.app("peer").await?, bus.app("many").await?);
    let api = ApiClient::new(&peer);
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let enqueue = api.plain(n).enqueue();
        waiting.spawn(async move {
            let handle = enqueue.await?;
            let value = handle.result().timeout(2 * LONG).await;
            anyhow::ensure!(value == Ok(n + 1), "{n}: {value:?}");
            Ok(())
        });
    }
    worker.serve(ApiServer::new(Worker)).await?;
    while let Some(waited) = waiting.join_next().await {
        waited??;
    }
    Ok(())
}
