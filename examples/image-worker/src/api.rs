//! What the studio offers: the contract, which those who enqueue and those who work share. Among several programs this would be a crate of its own.
//!
//! A task carries names and sizes, never a picture: the pictures lie in a storage that all processes reach.

use serde::{Deserialize, Serialize};

/// Makes thumbnails of pictures.
#[lightbus::api(name = "studio")]
pub trait StudioApi {
    /// Reads all of a picture's file, and tells what it is.
    #[task(
        retries = 2,
        backoff = "300ms, 900ms",
        timeout = "30s",
        result_ttl = "10m"
    )]
    async fn inspect(&self, name: String) -> Result<Picture, ImageError>;

    /// Makes a thumbnail of this width.
    #[task(retries = 2, timeout = "30s", result_ttl = "10m")]
    async fn resize(&self, picture: Picture, width: u32) -> Result<Thumbnail, ImageError>;

    /// Lays all thumbnails of a picture out on one sheet.
    #[task(retries = 2, timeout = "30s", result_ttl = "10m")]
    async fn contact_sheet(&self, thumbnails: Vec<Thumbnail>) -> Result<Sheet, ImageError>;

    /// Deletes what was made of pictures that are no more. In a queue of its own: no customer waits behind it.
    #[task(retries = 2, timeout = "30s", queue = "nightly")]
    async fn clean_up(&self) -> Result<(), ImageError>;

    /// An attempt at a task has failed.
    #[event]
    fn attempt_failed(
        /// Which one, from 1.
        attempt: u32,
        /// Why.
        error: ImageError,
    );

    /// A night's clean-up is over.
    #[event]
    fn cleaned_up(
        /// How many files it has deleted.
        files: u32,
        /// How large they were.
        bytes: u64,
    );
}

/// A picture that could be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Its name in the storage.
    pub name: String,
    /// Its file.
    pub file: File,
    /// Who has read it.
    pub credit: Credit,
}

/// A picture, smaller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// What it shows.
    pub picture: Picture,
    /// Its file.
    pub file: File,
    /// Who has made it.
    pub credit: Credit,
}

/// A picture's thumbnails, beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sheet {
    /// What is on it.
    pub thumbnails: Vec<Thumbnail>,
    /// Its file.
    pub file: File,
    /// Who has made it.
    pub credit: Credit,
}

/// A file in the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// On the disk.
    pub bytes: u64,
}

/// Who has done a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    /// The worker's process.
    pub worker: u32,
    /// How many attempts it took.
    pub attempts: u32,
}

/// Why there is no thumbnail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ImageError {
    /// To try again is no use.
    #[error("there is no picture `{name}`")]
    NoSuchPicture {
        /// The name that was given.
        name: String,
    },
    /// Perhaps it has not arrived completely: tried again.
    #[error("{name} is broken: {reason}")]
    Broken {
        /// The picture.
        name: String,
        /// The decoder's words.
        reason: String,
    },
    /// Tried again.
    #[error("the storage failed: {reason}")]
    Storage {
        /// The system's words.
        reason: String,
    },
}
