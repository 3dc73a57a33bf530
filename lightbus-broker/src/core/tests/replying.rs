use super::bench::{Bench, Client, declare, publication};
use amq_protocol::protocol::{
    AMQPClass,
    basic::{self, AMQPMethod, AMQPProperties},
    channel, queue,
};

const PSEUDO: &str = "amq.rabbitmq.reply-to";

fn listen(bench: &mut Bench, client: &mut Client) {
    let consume = basic::Consume {
        queue: PSEUDO.into(),
        consumer_tag: "r".into(),
        no_ack: true,
        ..basic::Consume::default()
    };
    bench.basic(client, AMQPMethod::Consume(consume));
    assert!(matches!(
        bench.next(client),
        Some(AMQPClass::Basic(AMQPMethod::ConsumeOk(_)))
    ));
}

/// Sends a request to the queue `q` and returns the address it carries.
fn request(bench: &mut Bench, client: &mut Client) -> String {
    let properties = AMQPProperties::default()
        .with_reply_to(PSEUDO.into())
        .with_correlation_id("7".into());
    bench.publish_with(client, "", "q", "question", properties);
    let got = bench.get(client, "q").unwrap();
    assert_eq!(
        got.properties
            .correlation_id()
            .as_ref()
            .map(|id| id.as_str()),
        Some("7")
    );
    got.properties.reply_to().clone().unwrap().into()
}

#[test]
fn replies_go_straight_to_the_channel_that_asked() {
    let mut bench = Bench::new();
    let (mut asks, mut answers) = (bench.client(), bench.client());
    bench.declare(&mut asks, "q", &[]);
    listen(&mut bench, &mut asks);
    let address = request(&mut bench, &mut asks);
    let parts: Vec<_> = address
        .strip_prefix("amq.rabbitmq.reply-to.")
        .map(|rest| rest.split('.').collect())
        .unwrap_or_default();
    assert_eq!(parts.len(), 2, "{address}");
    assert!(parts[1].len() == 24 && address.ends_with("=="), "{address}");
    let reply = publication("", &address, "answer", &AMQPProperties::default(), true);
    bench.raw(&mut answers, &reply);
    assert!(
        matches!(
            bench.next(&mut answers),
            Some(AMQPClass::Basic(AMQPMethod::Return(_)))
        ),
        "no queue took it"
    );
    assert_eq!(bench.next_content(&mut answers).1, "answer");
    assert_eq!(bench.bodies(&mut asks), ["answer"]);

    let passive = queue::Declare {
        passive: true,
        ..declare(&address, &[])
    };
    bench.queue(&mut answers, queue::AMQPMethod::Declare(passive));
    assert!(matches!(
        bench.next(&mut answers),
        Some(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(_)))
    ));
}

#[test]
fn without_a_listener_there_is_no_request_and_no_reply() {
    let mut bench = Bench::new();
    let (mut asks, mut answers) = (bench.client(), bench.client());
    bench.declare(&mut asks, "q", &[]);
    let properties = AMQPProperties::default().with_reply_to(PSEUDO.into());
    bench.publish_with(&mut asks, "", "q", "question", properties);
    assert_eq!(
        bench.closed(&mut asks),
        (
            406,
            "PRECONDITION_FAILED - fast reply consumer does not exist".to_owned()
        )
    );
    bench.reopen(&mut asks);

    listen(&mut bench, &mut asks);
    let address = request(&mut bench, &mut asks);
    let close = channel::Close {
        reply_code: 200,
        ..channel::Close::default()
    };
    bench.method(
        &mut asks,
        1,
        AMQPClass::Channel(channel::AMQPMethod::Close(close)),
    );
    let reply = publication("", &address, "answer", &AMQPProperties::default(), true);
    bench.raw(&mut answers, &reply);
    assert!(matches!(
        bench.next(&mut answers),
        Some(AMQPClass::Basic(AMQPMethod::Return(_)))
    ));
}
