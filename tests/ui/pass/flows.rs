//! What an argument of a task may be, and what tasks that follow one another come to.
#![deny(warnings)]

use std::convert::Infallible;

use lightbus::{Bus, FailedStep, Flow, Output, Task, group};

#[lightbus::api(name = "media")]
pub trait MediaApi {
    #[task]
    async fn fetch(&self, url: String) -> Result<Vec<u8>, String>;
    #[task]
    async fn resize(&self, picture: Vec<u8>, width: u32, note: Option<String>) -> Result<Thumbnail, String>;
    #[task]
    async fn publish(&self, title: String, thumbnails: Vec<Thumbnail>) -> String;
    #[task]
    async fn say(&self, text: String);
    #[task]
    async fn complain(&self, failed: FailedStep);
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Thumbnail {
    pub width: u32,
}

/// Arguments are given as they were before there were outputs.
pub fn values(bus: &Bus) {
    let media = MediaApiClient::new(bus);
    let (owned, shared, bytes) = (String::from("a"), std::sync::Arc::<str>::from("b"), [1, 2]);
    let _: Task<Vec<u8>, String> = media.fetch("https://…");
    let _ = (media.fetch(&owned), media.fetch(&shared), media.fetch(owned));
    let _ = media.resize(bytes, 200, None);
    let _ = media.resize(&bytes[..], u32::from(7_u16), Some("x".into()));
    let _ = media.publish("empty", vec![]);
}

pub fn outputs(bus: &Bus) {
    let media = &MediaApiClient::new(bus);
    let chain = media.fetch("https://…").then(|picture| media.resize(picture, 200, None));
    let _: Flow<Thumbnail, String> = chain;

    let page = media
        .fetch("https://…")
        .then(|picture| group([1, 2].map(|n| media.resize(picture, n, None))))
        .then(|thumbnails: Output<Vec<Thumbnail>>| media.publish("both", thumbnails))
        .on_failure(|failed| media.complain(failed))
        .then(|title| media.publish(title, vec![]))
        .then(|title| media.say(title));
    let _: Flow<(), Infallible> = page;

    let flows = group(["a", "b"].map(|url| media.fetch(url).then(|it| media.resize(it, 1, None))));
    let each = flows.then_each(|thumbnail| {
        let _: Output<Thumbnail> = thumbnail;
        media.say("one")
    });
    let _: Flow<Vec<()>, Infallible> = each;
}

fn main() {}
