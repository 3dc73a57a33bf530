//! Flows that cannot be enqueued, and what is said of them.

use lightbus::testing::TestBus;
use lightbus::{EnqueueError, Output, Task, group};

use super::maths;

maths!(wrong, "flow_wrong");

fn reason<T>(enqueued: Result<T, EnqueueError>) -> String {
    match enqueued {
        Err(EnqueueError::Rejected { task, reason }) => format!("{task}: {reason}"),
        Err(other) => format!("another error: {other}"),
        Ok(_) => "it was enqueued".to_owned(),
    }
}

#[lightbus::test]
async fn mistakes_are_told_before_anything_is_sent(bus: TestBus) -> anyhow::Result<()> {
    let api = wrong::ApiClient::new(&bus);

    let mut kept = None::<Output<u64>>;
    let _ = api.double(1).then(|n| {
        kept = Some(n);
        api.double(n)
    });
    let stray = kept.expect("it was made");
    let alone = reason(api.double(stray).enqueue().await);
    assert!(
        alone.contains("takes the output of another task"),
        "{alone}"
    );
    let not_before = reason(api.double(2).then(|_| api.double(stray)).enqueue().await);
    assert!(
        not_before.contains("not the one right before it"),
        "{not_before}"
    );
    let grouped = reason(group([api.double(stray)]).enqueue().await);
    assert!(grouped.contains("not the one right before it"), "{grouped}");

    let none: [Task<u64, wrong::Trouble>; 0] = [];
    let empty = reason(group(none).enqueue().await);
    assert!(empty.contains("a group without members"), "{empty}");
    let unique = reason(api.double(1).then(|n| api.once(n)).enqueue().await);
    assert!(unique.contains("flow_wrong.once is unique"), "{unique}");
    let long = "x".repeat(20_000);
    let long = reason(api.double(1).then(|_| api.say(&long)).enqueue().await);
    assert!(long.contains("the limit is 16384"), "{long}");
    let text = "x".repeat(15_000);
    let wide = api.double(1).header("note", "y".repeat(20_000));
    let wide = reason(wide.then(|_| api.say(&text)).enqueue().await);
    assert!(wide.contains("its headers and what follows it"), "{wide}");
    let text = "x".repeat(20_000);
    let behind = group([1, 2].map(|n| api.double(n))).then(|_| api.say(&text));
    let behind = reason(behind.enqueue().await);
    assert!(behind.contains("the limit is 16384"), "{behind}");
    let text = "x".repeat(200_000);
    let huge = reason(group((0..10).map(|_| api.say(&text))).enqueue().await);
    assert!(huge.contains("it begins with a group"), "{huge}");
    Ok(())
}
