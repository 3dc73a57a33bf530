//! Text and bytes may be passed as whatever holds them.
#![deny(warnings)]

use std::borrow::Cow;
use std::rc::Rc;

#[lightbus::api(name = "files")]
pub trait FilesApi {
    async fn store(&self, name: String, content: Vec<u8>) -> bool;
    async fn store_all(&self, names: Vec<String>, note: Option<String>) -> bool;
    async fn qualified(&self, name: std::string::String, content: std::vec::Vec<u8>) -> bool;
}

struct Files;

impl FilesApi for Files {
    async fn store(&self, name: String, content: Vec<u8>) -> bool {
        name.as_bytes() == content
    }

    async fn store_all(&self, names: Vec<String>, note: Option<String>) -> bool {
        names.is_empty() && note.is_none()
    }

    async fn qualified(&self, name: String, content: Vec<u8>) -> bool {
        name.as_bytes() == content
    }
}

pub async fn uses(bus: &lightbus::Bus) {
    let files = FilesApiClient::new(bus);
    let (name, content) = (String::from("a.txt"), vec![1, 2]);
    let _ = files.store("a.txt", b"bytes").await;
    let _ = files.store(&name, &content).await;
    let _ = files.store(&name[1..], &content[1..]).await;
    let _ = files.store(Cow::Borrowed("a.txt"), [1, 2]).await;
    let _ = files.store(Rc::<str>::from("a.txt"), "text").await;
    let _ = files.qualified("a.txt", &content).await;
    let _ = files.store(name, content).await;
    let _ = files.store_all(vec!["a.txt".to_string()], None).await;
}

fn main() {
    let _ = FilesApiServer::new(Files);
}
