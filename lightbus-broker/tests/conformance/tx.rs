//! Transactions.

use crate::prelude::*;

async fn transacting(stage: &Stage) -> Wire {
    let mut wire = stage.wire().await;
    wire.call(1, tx::Select {}, tx::SelectOk {}).await;
    wire
}

#[tokio::test]
async fn messages_appear_with_the_commit() {
    let stage = Stage::start().await;
    let mut wire = transacting(&stage).await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.publish(1, "", &queue, "1").await;
    wire.publish(1, "", &queue, "2").await;
    wire.get_nothing(&queue).await;
    wire.call(1, tx::Commit {}, tx::CommitOk {}).await;
    wire.until_ready(&queue, 2).await;
    wire.publish(1, "", &queue, "3").await;
    wire.call(1, tx::Rollback {}, tx::RollbackOk {}).await;
    wire.call(1, tx::Commit {}, tx::CommitOk {}).await;
    assert_eq!(wire.get(&queue).await.text(), "1");
    assert_eq!(wire.get(&queue).await.text(), "2");
    wire.get_nothing(&queue).await;
}

#[tokio::test]
async fn acknowledgements_count_with_the_commit() {
    let stage = Stage::start().await;
    let mut wire = transacting(&stage).await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    for body in ["1", "2"] {
        wire.publish(1, "", &queue, body).await;
    }
    wire.call(1, tx::Commit {}, tx::CommitOk {}).await;
    wire.until_ready(&queue, 2).await;
    wire.consume(&queue, "c").await;
    for body in ["1", "2"] {
        assert_eq!(wire.message(1).await.text(), body);
    }
    // Rolled back, an acknowledgement may be given again.
    wire.ack(1, false).await;
    wire.call(1, tx::Rollback {}, tx::RollbackOk {}).await;
    wire.ack(1, false).await;
    wire.call(1, tx::Commit {}, tx::CommitOk {}).await;
    // Not committed, it does not count.
    wire.ack(2, false).await;
    wire.call(1, channel::Close::default(), channel::CloseOk {})
        .await;
    wire.open_channel(1).await;
    wire.until_ready(&queue, 1).await;
    let left = wire.get(&queue).await;
    assert_eq!((left.text(), left.get_ok().redelivered), ("2", true));
}

#[tokio::test]
async fn rejections_wait_for_the_commit() {
    let stage = Stage::start().await;
    let mut wire = transacting(&stage).await;
    let queue = stage.queue(&mut wire, "q", &[]).await;
    wire.publish(1, "", &queue, "m").await;
    wire.call(1, tx::Commit {}, tx::CommitOk {}).await;
    wire.until_ready(&queue, 1).await;
    wire.fetch(&queue).await;
    wire.requeue(1, false).await;
    wire.get_nothing(&queue).await;
    wire.call(1, tx::Commit {}, tx::CommitOk {}).await;
    wire.until_ready(&queue, 1).await;
    assert!(wire.get(&queue).await.get_ok().redelivered);
}

#[tokio::test]
async fn unroutable_messages_come_back_with_the_commit() {
    let stage = Stage::start().await;
    let mut wire = transacting(&stage).await;
    wire.publish(1, "", &stage.name("nowhere"), "m").await;
    wire.send(1, tx::Commit {}).await;
    assert_eq!(wire.message(1).await.text(), "m");
    wire.expect(1, tx::CommitOk {}).await;
}

#[tokio::test]
async fn a_missing_exchange_is_told_at_once() {
    let stage = Stage::start().await;
    let mut wire = transacting(&stage).await;
    let missing = stage.name("missing");
    wire.publish(1, &missing, "k", "m").await;
    let text = format!("NOT_FOUND - no exchange '{missing}' in vhost '/'");
    wire.channel_closes(1, 404, &text, (60, 40)).await;
}

#[tokio::test]
async fn confirms_and_transactions_exclude_each_other() {
    let stage = Stage::start().await;
    let mut wire = transacting(&stage).await;
    wire.call(1, tx::Select {}, tx::SelectOk {}).await;
    let text = "PRECONDITION_FAILED - cannot switch from tx to confirm mode";
    wire.refused(1, confirm::Select::default(), 406, text).await;
    wire.call(1, confirm::Select::default(), confirm::SelectOk {})
        .await;
    let text = "PRECONDITION_FAILED - cannot switch from confirm to tx mode";
    wire.refused(1, tx::Select {}, 406, text).await;
    let text = "PRECONDITION_FAILED - channel is not transactional";
    wire.refused(1, tx::Commit {}, 406, text).await;
    wire.refused(1, tx::Rollback {}, 406, text).await;
}
