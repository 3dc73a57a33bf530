//! Peers that mean harm. Whatever they send is refused, ignored or goes to the dead letters, and is counted; each test has a witness, a
//! call and an event that go on working.

use lapin::BasicProperties;
use lapin::types::AMQPValue;
use lightbus::Bus;
use lightbus_tests::raw::{RawProperties, Text};
use lightbus_tests::{Foreign, TestBroker, eventually, queue_of, reporting};
use tokio::sync::mpsc;

const INSTANCE: &str = "00112233445566778899aabbccddeeff";

/// An API, a provider of it that also listens, and a peer.
macro_rules! stage {
    ($module:ident, $api:literal, $app:literal) => {
        #[allow(dead_code)]
        mod $module {
            use super::*;

            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                async fn shout(&self, text: String) -> String;
                #[event]
                fn happened(n: u32);
            }

            struct Provider;

            impl Api for Provider {
                async fn shout(&self, text: String) -> String {
                    text.to_uppercase()
                }
            }

            pub(super) struct Stage {
                pub(super) broker: TestBroker,
                pub(super) provider: Bus,
                pub(super) peer: Bus,
                pub(super) foreign: Foreign,
                pub(super) dead: String,
                heard: mpsc::UnboundedReceiver<u32>,
                witnessed: u32,
            }

            impl Stage {
                pub(super) async fn set() -> anyhow::Result<Self> {
                    let broker = TestBroker::start().await?;
                    let (shop, peer) = (concat!($app, "-shop"), concat!($app, "-peer"));
                    let provider = broker.bus(shop).await?;
                    provider.serve(ApiServer::new(Provider)).await?;
                    let (handler, heard) = reporting(|event: Happened| event.n);
                    let happened = ApiClient::new(&provider).happened();
                    happened.listen("all", handler).await?;
                    let stage = Self {
                        peer: broker.bus(peer).await?,
                        foreign: broker.foreign().await?,
                        dead: queue_of(shop, "all.dead"),
                        broker,
                        provider,
                        heard,
                        witnessed: 1000,
                    };
                    Ok(stage)
                }

                /// A call is answered, an event is heard; what was heard before it is returned.
                pub(super) async fn witness(&mut self) -> anyhow::Result<Vec<u32>> {
                    assert_eq!(ApiClient::new(&self.peer).shout("a").await?, "A");
                    self.witnessed += 1;
                    let n = self.witnessed;
                    let happened = ApiEvents::new(&self.peer).happened();
                    happened.publish(Happened { n }).await?;
                    let mut before = Vec::new();
                    loop {
                        match self.heard.recv().await {
                            Some(heard) if heard == n => return Ok(before),
                            Some(other) => before.push(other),
                            None => anyhow::bail!("the listener has ended"),
                        }
                    }
                }

                pub(super) async fn until_dead(&self, count: u32) -> anyhow::Result<()> {
                    self.foreign.until(&self.dead, count, 0).await
                }
            }

            pub(super) const EVENTS: &str = concat!("lb.ev.", $api);
            pub(super) const EVENT: &str = concat!($api, ".happened");
            pub(super) const CALLS: &str = concat!("lb.rpc.", $api);
        }
    };
}

// Below the macro that they use.
mod forged;
mod malformed;
mod unreadable;

fn event() -> RawProperties {
    RawProperties::default().text(Text::Type, b"lb1.ev")
}

fn request(app: &str) -> RawProperties {
    RawProperties::default()
        .text(Text::Type, b"lb1.req")
        .text(Text::CorrelationId, b"any-id-will-do")
        .text(Text::ReplyTo, format!("{app}/{INSTANCE}").as_bytes())
}

fn reply(id: &[u8]) -> RawProperties {
    RawProperties::default()
        .text(Text::Type, b"lb1.rep")
        .text(Text::CorrelationId, id)
}

async fn next(foreign: &Foreign, queue: &str) -> anyhow::Result<lapin::message::Delivery> {
    let mut next = None;
    eventually("a message is there", async || {
        next = foreign.take(queue).await.ok().flatten();
        next.is_some()
    })
    .await?;
    Ok(next.unwrap())
}

fn text_header(properties: &BasicProperties, name: &str) -> Option<String> {
    match properties.headers().as_ref()?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        other => Some(format!("{other:?}")),
    }
}

const N1: &[u8] = b"\x81\xa1n\x01";
const TEXT_X: &[u8] = b"\x81\xa4text\xa1x";
