//! The work itself, on files and pixels. It knows no bus. Done twice, it writes the same files again: a task may run more than once.

use std::fs;
use std::io::{Cursor, ErrorKind};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, overlay};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::api::{File, ImageError, Thumbnail};
use crate::storage::Storage;

/// Of thumbnails and sheets, of 100.
const QUALITY: u8 = 85;

/// Around each thumbnail on a sheet, in pixels.
const MARGIN: u32 = 16;

/// How much is done, from 0 to 1, and what comes next.
pub(crate) type Tell<'a> = &'a dyn Fn(f64, &str);

pub(crate) fn inspect(storage: &Storage, name: &str, tell: Tell<'_>) -> Result<File, ImageError> {
    tell(0.0, "inspecting");
    let (picture, bytes) = load(storage, name)?;
    tell(1.0, "inspected");
    Ok(File {
        width: picture.width(),
        height: picture.height(),
        bytes,
    })
}

pub(crate) fn resize(
    storage: &Storage,
    name: &str,
    width: u32,
    tell: Tell<'_>,
) -> Result<File, ImageError> {
    tell(0.0, &format!("{width} px: reading"));
    let (picture, _) = load(storage, name)?;
    tell(0.5, &format!("{width} px: resizing"));
    let thumbnail = picture.resize(width, u32::MAX, FilterType::Lanczos3);
    tell(0.9, &format!("{width} px: writing"));
    save(&thumbnail.into_rgb8(), &storage.thumbnail(name, width))
}

pub(crate) fn contact_sheet(
    storage: &Storage,
    thumbnails: &[Thumbnail],
    tell: Tell<'_>,
) -> Result<File, ImageError> {
    let files = || thumbnails.iter().map(|thumbnail| thumbnail.file);
    let width = files().map(|file| file.width + MARGIN).sum::<u32>() + MARGIN;
    let height = files().map(|file| file.height).max().unwrap_or_default() + 2 * MARGIN;
    let mut sheet = RgbImage::from_pixel(width, height, Rgb([250; 3]));
    let (mut x, mut name) = (MARGIN, "");
    for (n, thumbnail) in thumbnails.iter().enumerate() {
        tell(n as f64 / thumbnails.len() as f64, "contact sheet");
        name = &thumbnail.picture.name;
        let path = storage.thumbnail(name, thumbnail.file.width);
        let bytes = fs::read(&path).map_err(|error| trouble(&path, &error))?;
        let small = decode(name, &bytes, ImageFormat::Jpeg)?.into_rgb8();
        overlay(&mut sheet, &small, x.into(), MARGIN.into());
        x += thumbnail.file.width + MARGIN;
    }
    save(&sheet, &storage.sheet(name))
}

/// A picture, and how large its file is.
fn load(storage: &Storage, name: &str) -> Result<(DynamicImage, u64), ImageError> {
    let no_such = || ImageError::NoSuchPicture {
        name: name.to_owned(),
    };
    let path = storage.picture(name).ok_or_else(no_such)?;
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => no_such(),
        _ => trouble(&path, &error),
    })?;
    let picture = decode(name, &bytes, ImageFormat::Png)?;
    Ok((picture, bytes.len() as u64))
}

fn decode(name: &str, bytes: &[u8], format: ImageFormat) -> Result<DynamicImage, ImageError> {
    let picture = image::load_from_memory_with_format(bytes, format);
    picture.map_err(|error| ImageError::Broken {
        name: name.to_owned(),
        reason: error.to_string(),
    })
}

fn save(picture: &RgbImage, path: &Path) -> Result<File, ImageError> {
    let mut jpeg = Cursor::new(Vec::new());
    picture
        .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, QUALITY))
        .map_err(|error| trouble(path, &error))?;
    let jpeg = jpeg.into_inner();
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| trouble(folder, &error))?;
    fs::write(path, &jpeg).map_err(|error| trouble(path, &error))?;
    Ok(File {
        width: picture.width(),
        height: picture.height(),
        bytes: jpeg.len() as u64,
    })
}

fn trouble(path: &Path, error: &dyn std::error::Error) -> ImageError {
    ImageError::Storage {
        reason: format!("{}: {error}", path.display()),
    }
}
