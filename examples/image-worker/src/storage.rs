//! Where the pictures lie: here a folder; in production a disk or a bucket that all workers reach.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

const PICTURES: &str = "pictures";
const THUMBNAILS: &str = "thumbnails";

#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pictures: PathBuf,
    thumbnails: PathBuf,
}

impl Storage {
    /// One that is there.
    pub(crate) fn open(folder: &Path) -> anyhow::Result<Self> {
        let (pictures, thumbnails) = (folder.join(PICTURES), folder.join(THUMBNAILS));
        ensure!(
            pictures.is_dir() && thumbnails.is_dir(),
            "{} is no storage of pictures: it lacks `{PICTURES}` or `{THUMBNAILS}`",
            folder.display()
        );
        Ok(Self {
            pictures,
            thumbnails,
        })
    }

    /// A new one, in a folder that is empty or does not exist: clean-ups delete files in it.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let here = || folder.display().to_string();
        for part in [PICTURES, THUMBNAILS] {
            fs::create_dir_all(folder).with_context(here)?;
            fs::create_dir(folder.join(part)).with_context(here)?;
        }
        Self::open(folder)
    }

    /// `None` for a name that no picture has. What comes over the bus is not trusted: `../..` is no name.
    pub(crate) fn picture(&self, name: &str) -> Option<PathBuf> {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
        is_name.then(|| self.pictures.join(name).with_extension("png"))
    }

    pub(crate) fn thumbnail(&self, name: &str, width: u32) -> PathBuf {
        self.thumbnails.join(name).join(format!("{width}.jpg"))
    }

    pub(crate) fn sheet(&self, name: &str) -> PathBuf {
        self.thumbnails.join(name).join("sheet.jpg")
    }

    /// Deletes what was made of pictures that are no more: how many files, how many bytes.
    pub(crate) fn clean_up(&self) -> io::Result<(u32, u64)> {
        let (mut files, mut bytes) = (0, 0);
        for made in fs::read_dir(&self.thumbnails)? {
            let made = made?;
            let name = made.file_name();
            let picture = name.to_str().and_then(|name| self.picture(name));
            if picture.is_some_and(|picture| picture.exists()) {
                continue;
            }
            for file in fs::read_dir(made.path())? {
                files += 1;
                bytes += file?.metadata()?.len();
            }
            fs::remove_dir_all(made.path())?;
        }
        Ok((files, bytes))
    }

    /// How many files were made of pictures, and are here.
    pub(crate) fn made(&self) -> io::Result<usize> {
        let folders = fs::read_dir(&self.thumbnails)?.map(|made| fs::read_dir(made?.path()));
        folders.map(|files| Ok(files?.count())).sum()
    }
}
