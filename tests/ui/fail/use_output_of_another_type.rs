//! The output of a task goes where its type does.

#[lightbus::api(name = "media")]
pub trait MediaApi {
    #[task]
    async fn fetch(&self, url: String) -> Result<Vec<u8>, String>;
    #[task]
    async fn resize(&self, picture: Vec<u8>, width: u32) -> Result<Vec<u8>, String>;
    async fn count(&self, width: u32) -> u32;
}

fn chain(media: &MediaApiClient) {
    let _ = media.fetch("https://…").then(|picture| media.resize([7], picture));
    let _ = media.fetch("https://…").then(|picture| media.count(picture));
    let _ = media.resize("no bytes, but text has some", "200");
}

fn main() {}
