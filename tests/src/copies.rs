//! Messages that come twice: made with an id of the test's own, and counted.

use lapin::BasicProperties;
use lightbus::Bus;

use crate::eventually;

/// An event of our own making: the id is the test's.
pub fn event(id: &str) -> BasicProperties {
    let event = BasicProperties::default().with_type("lb1.ev".into());
    match id {
        "" => event,
        id => event.with_message_id(id.into()),
    }
}

/// `{"n": n}`
pub fn payload(n: u8) -> Vec<u8> {
    vec![0x81, 0xa1, b'n', n]
}

/// Waits until a bus has counted so many duplicates, and no more.
pub async fn duplicates(bus: &Bus, count: u64) -> anyhow::Result<()> {
    eventually("the duplicates are counted", async || {
        bus.counts().events_duplicate >= count
    })
    .await?;
    assert_eq!(bus.counts().events_duplicate, count);
    Ok(())
}
