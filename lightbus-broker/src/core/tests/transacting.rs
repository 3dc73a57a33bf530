use super::bench::{Bench, Client};
use amq_protocol::protocol::{AMQPClass, basic, confirm, tx};

fn select(bench: &mut Bench, client: &mut Client) {
    bench.method(
        client,
        1,
        AMQPClass::Tx(tx::AMQPMethod::Select(tx::Select {})),
    );
    assert!(matches!(
        bench.next(client),
        Some(AMQPClass::Tx(tx::AMQPMethod::SelectOk(_)))
    ));
}

fn commit(bench: &mut Bench, client: &mut Client) {
    bench.method(
        client,
        1,
        AMQPClass::Tx(tx::AMQPMethod::Commit(tx::Commit {})),
    );
}

fn rollback(bench: &mut Bench, client: &mut Client) {
    bench.method(
        client,
        1,
        AMQPClass::Tx(tx::AMQPMethod::Rollback(tx::Rollback {})),
    );
    assert!(matches!(
        bench.next(client),
        Some(AMQPClass::Tx(tx::AMQPMethod::RollbackOk(_)))
    ));
}

#[test]
fn publications_wait_for_the_commit() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    select(&mut bench, &mut client);
    bench.publish(&mut client, "", "q", "undone");
    rollback(&mut bench, &mut client);
    bench.publish(&mut client, "", "q", "done");
    assert_eq!(bench.ready("q"), 0);
    commit(&mut bench, &mut client);
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Tx(tx::AMQPMethod::CommitOk(_)))
    ));
    assert_eq!(bench.drain(&mut client, "q"), ["done"]);
}

#[test]
fn acks_wait_too_and_a_lost_channel_undoes_them() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "a");
    bench.publish(&mut client, "", "q", "b");
    select(&mut bench, &mut client);
    bench.consume(&mut client, "q", "c", 0);
    assert_eq!(bench.bodies(&mut client), ["a", "b"]);
    bench.ack(&mut client, 1, false);
    rollback(&mut bench, &mut client);
    bench.ack(&mut client, 1, false);
    commit(&mut bench, &mut client);
    bench.next(&mut client);
    bench.ack(&mut client, 2, false);
    assert_eq!(bench.snapshot().queue("q").unwrap().unacked, 1);
    bench.disconnect(&client);
    let queue = bench.snapshot().queue("q").cloned().unwrap();
    assert_eq!((queue.ready, queue.unacked), (1, 0));
}

#[test]
fn a_channel_is_one_or_the_other() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    commit(&mut bench, &mut client);
    assert_eq!(
        bench.closed(&mut client),
        (
            406,
            "PRECONDITION_FAILED - channel is not transactional".to_owned()
        )
    );
    bench.reopen(&mut client);
    select(&mut bench, &mut client);
    bench.method(
        &mut client,
        1,
        AMQPClass::Confirm(confirm::AMQPMethod::Select(confirm::Select {
            nowait: false,
        })),
    );
    assert_eq!(
        bench.closed(&mut client),
        (
            406,
            "PRECONDITION_FAILED - cannot switch from tx to confirm mode".to_owned()
        )
    );
}

#[test]
fn what_is_settled_gives_credit_when_it_is_committed() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.publish(&mut client, "", "q", "a");
    let qos = basic::Qos {
        prefetch_count: 1,
        global: true,
    };
    bench.basic(&mut client, basic::AMQPMethod::Qos(qos));
    bench.next(&mut client);
    bench.consume(&mut client, "q", "t", 0);
    assert_eq!(bench.bodies(&mut client), ["a"]);
    select(&mut bench, &mut client);
    bench.ack(&mut client, 1, false);
    let mut other = bench.client();
    bench.publish(&mut other, "", "q", "b");
    assert!(bench.next(&mut client).is_none(), "not committed yet");
    commit(&mut bench, &mut client);
    assert_eq!(bench.snapshot().queue("q").unwrap().unacked, 1);
    bench.core.assert_consistent();
}

#[test]
fn a_recovery_does_not_wait_for_the_commit() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    bench.declare(&mut client, "q", &[]);
    bench.consume(&mut client, "q", "c", 0);
    bench.publish(&mut client, "", "q", "m");
    assert_eq!(bench.bodies(&mut client), ["m"]);
    select(&mut bench, &mut client);
    bench.basic(
        &mut client,
        basic::AMQPMethod::Recover(basic::Recover { requeue: true }),
    );
    assert!(matches!(
        bench.next(&mut client),
        Some(AMQPClass::Basic(basic::AMQPMethod::RecoverOk(_)))
    ));
    assert_eq!(bench.bodies(&mut client), ["m"]);
}
