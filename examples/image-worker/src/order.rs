//! What is done with each picture: it is inspected, resized to all widths at once, and its thumbnails are laid out on one sheet.

use anyhow::Result;
use futures_util::future::try_join_all;
use lightbus::enqueue_many;

use crate::api::{Picture, Sheet, StudioApiClient};
use crate::board::Row;
use crate::look::size;

/// In pixels.
pub(crate) const WIDTHS: [u32; 3] = [160, 320, 640];

/// How many tasks that makes.
pub(crate) const TASKS: u64 = WIDTHS.len() as u64 + 2;

/// How many files come of it.
pub(crate) const FILES: usize = WIDTHS.len() + 1;

pub(crate) async fn order(studio: &StudioApiClient, name: &str, row: Row) -> Result<Sheet> {
    let inspecting = studio.inspect(name).enqueue().await?;
    let picture = row.follow(&inspecting).await?;
    finish(studio, picture, row).await
}

/// From the picture on.
pub(crate) async fn finish(studio: &StudioApiClient, picture: Picture, row: Row) -> Result<Sheet> {
    let resize = {
        let (studio, picture) = (studio.clone(), picture.clone());
        move |width| studio.resize(picture.clone(), width)
    };
    let resizing = enqueue_many(WIDTHS.map(resize)).await;
    let resizing = resizing.into_iter().collect::<Result<Vec<_>, _>>()?;
    let thumbnails = try_join_all(resizing.iter().map(|task| row.follow(task))).await?;
    let laying_out = studio.contact_sheet(thumbnails).enqueue().await?;
    let sheet = row.follow(&laying_out).await?;
    let (file, made) = (picture.file, size(sheet.bytes()));
    row.finish(format!(
        "{} x {}, {FILES} files of {made}",
        file.width, file.height
    ));
    Ok(sheet)
}

impl Sheet {
    /// How large everything is that was made of the picture.
    pub(crate) fn bytes(&self) -> u64 {
        let thumbnails = self.thumbnails.iter();
        self.file.bytes + thumbnails.map(|made| made.file.bytes).sum::<u64>()
    }
}
