//! Answers to calls that nobody made.

use std::time::Duration;

use super::*;

stage!(replies, "hostile_replies", "hostile-replies");

#[tokio::test]
async fn a_flood_of_forged_replies_stops_no_call() -> anyhow::Result<()> {
    // A reply queue holds 10,000: beyond that the broker drops the oldest, the witness's among them.
    const FLOOD: u64 = 9_000;
    let mut stage = replies::Stage::set().await?;
    stage.witness().await?;
    let to = format!("lb.reply.{}", stage.peer.app());
    let instance = stage.peer.instance().to_owned();
    let channel = stage.foreign.channel().await?;
    let flood = async {
        for n in 0..FLOOD {
            let id = format!("01a1fd88-d5d9-749a-96dd-{n:012}");
            let properties = BasicProperties::default()
                .with_type("lb1.rep".into())
                .with_correlation_id(id.into());
            let publish = channel.basic_publish(
                to.as_str().into(),
                instance.as_str().into(),
                Default::default(),
                &[0xc0; 1000],
                properties,
            );
            publish.await?;
        }
        anyhow::Ok(())
    };
    let witness = async {
        let client = replies::ApiClient::new(&stage.peer);
        for _ in 0..200 {
            let answer = client.shout("b").timeout(Duration::from_secs(20)).await?;
            assert_eq!(answer, "B");
        }
        anyhow::Ok(())
    };
    let (flooded, witnessed) = tokio::join!(flood, witness);
    flooded?;
    witnessed?;
    eventually("all forged replies are ignored", async || {
        stage.peer.counts().replies_ignored == FLOOD
    })
    .await?;
    stage.witness().await?;
    Ok(())
}
