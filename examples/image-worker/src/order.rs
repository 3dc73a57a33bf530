//! What is done with a picture: it is inspected, resized to all widths at once, and its thumbnails are laid out on one sheet.

use anyhow::Result;
use futures_util::future::try_join_all;
use lightbus::{Flow, enqueue_many, group};

use crate::api::{ImageError, Sheet, StudioApiClient};
use crate::board::Row;
use crate::look::size;

/// In pixels.
pub(crate) const WIDTHS: [u32; 3] = [160, 320, 640];

/// How many tasks that makes.
pub(crate) const TASKS: u64 = WIDTHS.len() as u64 + 2;

/// How many files come of it.
pub(crate) const FILES: usize = WIDTHS.len() + 1;

/// All of it at once: the workers go on by themselves, from step to step, whether the app still runs or not.
pub(crate) fn order(studio: &StudioApiClient, name: &str) -> Flow<Sheet, ImageError> {
    studio
        .inspect(name)
        .then(|picture| group(WIDTHS.map(|width| studio.resize(picture, width))))
        .then(|thumbnails| studio.contact_sheet(thumbnails))
        .keep_result()
}

/// The same, step by step, for one who wants to see how far each task is: a flow's handle tells of its end.
pub(crate) async fn order_and_follow(
    studio: &StudioApiClient,
    name: &str,
    row: Row,
) -> Result<Sheet> {
    let inspecting = studio.inspect(name).enqueue().await?;
    let picture = row.follow(&inspecting).await?;
    let resizing = WIDTHS.map(|width| studio.resize(picture.clone(), width));
    let resizing = enqueue_many(resizing).await.into_iter();
    let resizing = resizing.collect::<Result<Vec<_>, _>>()?;
    let thumbnails = try_join_all(resizing.iter().map(|task| row.follow(task))).await?;
    let laying_out = studio.contact_sheet(thumbnails).enqueue().await?;
    let sheet = row.follow(&laying_out).await?;
    row.finish(sheet.in_words());
    Ok(sheet)
}

impl Sheet {
    /// How large everything is that was made of the picture.
    pub(crate) fn bytes(&self) -> u64 {
        let thumbnails = self.thumbnails.iter();
        self.file.bytes + thumbnails.map(|made| made.file.bytes).sum::<u64>()
    }

    pub(crate) fn in_words(&self) -> String {
        let files = self.thumbnails.len() + 1;
        format!("{files} files of {}", size(self.bytes()))
    }
}
