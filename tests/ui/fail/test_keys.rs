//! What can be wrong about the keys of a test, all in one: each mistake is reported on its own token.

use lightbus::testing::TestBus;

#[lightbus::test(clock = "virtual", brokers("both"))]
async fn unknown_keys(_bus: TestBus) {}

#[lightbus::test(broker = "kafka")]
async fn unknown_broker(_bus: TestBus) {}

#[lightbus::test(broker = 5, virtual_time = true)]
async fn no_text(_bus: TestBus) {}

#[lightbus::test(broker)]
async fn no_broker(_bus: TestBus) {}

#[lightbus::test(broker = "embedded", broker = "both")]
async fn twice(_bus: TestBus) {}

#[lightbus::test(broker = "rabbitmq", virtual_time)]
async fn rabbitmq_in_virtual_time(_bus: TestBus) {}

#[lightbus::test(virtual_time, broker = "both", crate = "lightbus")]
async fn both_in_virtual_time(_bus: TestBus) {}

#[lightbus::test(crate = "no path")]
async fn no_path(_bus: TestBus) {}

#[lightbus::test(broker = "both")]
fn not_async(_bus: TestBus) {}

fn main() {}
