//! Reading the journal: what lies far back in it, and what is no record.

use super::*;

fn record(task: &str, state: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    let state = AMQPValue::LongString(state.into());
    headers.insert("lb-state".into(), state);
    headers.insert("lb-ts".into(), AMQPValue::LongLongInt(1_700_000_000_000));
    BasicProperties::default()
        .with_type("lb1.task-log".into())
        .with_content_type("application/json".into())
        .with_correlation_id(task.into())
        .with_headers(headers)
}

macro_rules! large {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(result_ttl = "1h")]
                async fn large(&self, n: u8) -> Vec<u8>;
            }
            pub(super) struct Worker;
            impl Api for Worker {
                async fn large(&self, n: u8) -> Vec<u8> {
                    vec![n; 450_000]
                }
            }
        }
    };
}

large!(old, "result_old");
large!(bad, "result_bad");

#[lightbus::test]
async fn what_was_read_long_ago_is_read_once_more(bus: TestBus) -> anyhow::Result<()> {
    use old::*;
    let (peer, worker) = (bus.app("peer").await?, bus.app("old").await?);
    worker.serve(ApiServer::new(Worker)).await?;
    let api = ApiClient::new(&peer);
    let mut handles = Vec::new();
    // More than is kept of those that nobody waits for.
    for n in 0..25 {
        handles.push(api.large(n).enqueue().await?);
    }
    for n in [24, 0, 1] {
        let value = handles[n].result().timeout(LONG).await;
        assert!(value == Ok(vec![u8::try_from(n)?; 450_000]), "{n}");
    }
    // Ids that tell no time are looked for from the journal's beginning on; and JSON is read as well.
    let foreign = Foreign::connect(&bus.url()).await?;
    let done = record("nightly:7", "done");
    let key = ("lb.journal.result_old", "journal");
    foreign.publish(key.0, key.1, done, b"[1, 2]").await?;
    let handle = peer.task::<Vec<u8>, String>("result_old.large/nightly:7".parse()?);
    assert_eq!(handle.result().timeout(LONG).await, Ok(vec![1, 2]));
    let unknown = peer.task::<Vec<u8>, String>("result_old.large/nightly:8".parse()?);
    assert!(matches!(unknown.status().await, Err(TaskError::Gone(_))));
    Ok(())
}

#[tokio::test]
async fn what_is_no_record_is_ignored_and_counted() -> anyhow::Result<()> {
    use bad::*;
    let broker = TestBroker::start().await?;
    let (peer, worker) = (broker.bus("bad-peer").await?, broker.bus("bad").await?);
    let api = ApiClient::new(&peer);
    let handle = api.large(1).keep_result().enqueue().await?;
    let id = handle.id().message_id();
    assert_eq!(status(&handle).await, "waiting");
    let key = ("lb.journal.result_bad", "journal");
    let depth = if broker.embedded().is_some() {
        60
    } else {
        20_000
    };
    let deep = RawProperties::default().headers(&nested_tables(depth));
    let mut raw = broker.raw().await?;
    raw.publish(key.0, key.1.as_bytes(), &deep, b"1").await?;
    let foreign = broker.foreign().await?;
    let good = || record(id, "done");
    let bad: Vec<(BasicProperties, Vec<u8>)> = vec![
        (BasicProperties::default(), b"hello".to_vec()),
        (good().with_type("lb1.task".into()), b"1".to_vec()),
        (good().with_correlation_id("".into()), b"1".to_vec()),
        (record(id, "exploded"), b"1".to_vec()),
        (record(id, "progress"), b"[[1]]".to_vec()),
        (good(), vec![b'['; 500]),
        (good(), vec![b'1'; 3 << 20]),
        (good().with_content_type("text/html".into()), b"1".to_vec()),
    ];
    let count = u64::try_from(bad.len())? + 1;
    for (properties, payload) in bad {
        foreign.publish(key.0, key.1, properties, &payload).await?;
    }
    let all = async || peer.counts().task_records_ignored == count;
    eventually("all are counted", all).await?;
    assert_eq!(handle.status().await?, TaskStatus::Waiting);
    worker.serve(ApiServer::new(Worker)).await?;
    let value = handle.result().timeout(LONG).await;
    assert!(value == Ok(vec![1; 450_000]));
    Ok(())
}
