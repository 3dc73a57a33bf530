//! Apps whose clocks are wrong.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde::Serialize;
use uuid::Uuid;

use super::calls::Provider;
use super::outcome::Outcome;
use super::stage::Stage;
use crate::Foreign;

/// How far each caller's clock is off, in milliseconds.
const SKEWS: [i64; 3] = [-10_000, 0, 10_000];
/// How long each call may take, in milliseconds: the broker drops it after that, by its own clock.
const EXPIRATION: i64 = 5000;
const CALLS: u64 = 5;

/// The arguments of the call, by name.
#[derive(Debug, Serialize)]
struct Arguments {
    n: u64,
    after_ms: u64,
}

/// Row 31: the clocks of callers are 10 s slow and fast. Their calls are run, whichever way they tell their deadline.
pub(super) async fn skewed(stage: &Stage) -> anyhow::Result<Outcome> {
    let provider = Provider::start(stage, "provider", stage.url()).await?;
    let foreign = stage.foreign().await?;
    let mut outcome = Outcome::default();
    for (nth, skew) in SKEWS.into_iter().enumerate() {
        for (way, in_header) in [("by the time in its id", false), ("by a header", true)] {
            // A caller of its own: each has one clock.
            let instance = format!("{nth:031x}{}", u8::from(in_header));
            let caller = stage.app_name("caller");
            let queue = foreign.reply_address(&caller, &instance).await?;
            stage.leaves(&queue);
            for n in 1..=CALLS {
                let call = call(format!("{caller}/{instance}"), skew, in_header)?;
                let answer = ask(&foreign, &queue, call, n).await;
                let error = answer.as_ref().err().map(|error| format!("{error:#}"));
                outcome.check(
                    answer.is_ok(),
                    format!(
                        "a call whose deadline is told {way} is answered, {skew} ms off: {error:?}"
                    ),
                );
                outcome.confirmed += usize::from(answer.is_ok());
            }
        }
    }
    outcome.handled = outcome.confirmed;
    provider.close().await;
    Ok(outcome)
}

fn call(reply_to: String, skew: i64, in_header: bool) -> anyhow::Result<BasicProperties> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    let made = i64::try_from(now)?.saturating_add(skew);
    let call = BasicProperties::default()
        .with_type("lb1.req".into())
        .with_content_type("application/msgpack".into())
        .with_reply_to(reply_to.into())
        .with_expiration(EXPIRATION.to_string().into());
    if in_header {
        let mut headers = FieldTable::default();
        headers.insert(
            "lb-deadline".into(),
            AMQPValue::LongLongInt(made + EXPIRATION),
        );
        let id = Uuid::new_v4().to_string();
        return Ok(call.with_correlation_id(id.into()).with_headers(headers));
    }
    let random = Uuid::new_v4();
    let [.., a, b, c, d, e, f, g, h, i, j] = *random.as_bytes();
    let id = uuid::Builder::from_unix_timestamp_millis(
        u64::try_from(made)?,
        &[a, b, c, d, e, f, g, h, i, j],
    );
    Ok(call.with_correlation_id(id.into_uuid().to_string().into()))
}

async fn ask(foreign: &Foreign, queue: &str, call: BasicProperties, n: u64) -> anyhow::Result<()> {
    let arguments = rmp_serde::to_vec_named(&Arguments { n, after_ms: 0 })?;
    let id = call.correlation_id().clone();
    foreign
        .publish("lb.rpc.faults", "echo", call, &arguments)
        .await?;
    let waiting = async {
        loop {
            if let Some(answer) = foreign.take(queue).await? {
                return anyhow::Ok(answer);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let limit = Duration::from_millis(EXPIRATION.unsigned_abs());
    let answer = tokio::time::timeout(limit, waiting)
        .await
        .context("no answer")??;
    anyhow::ensure!(
        answer.properties.correlation_id() == &id,
        "the answer to another call"
    );
    let refused = answer.properties.headers();
    anyhow::ensure!(refused.is_none(), "the call was refused: {refused:?}");
    let echoed: u64 = rmp_serde::from_slice(&answer.data)?;
    anyhow::ensure!(echoed == n, "{echoed} is the answer to another call");
    Ok(())
}
