//! The pictures that customers send: drawn, so that none need be brought along.

use image::{ImageFormat, Rgb, RgbImage};
use std::f32::consts::TAU;
use std::io::Cursor;

/// What there is to draw.
pub(crate) const NAMES: [&str; 6] = [
    "aurora",
    "dunes",
    "julia",
    "mandelbrot",
    "plasma",
    "ripples",
];

/// The picture of this name as a PNG file.
pub(crate) fn png(name: &str, (width, height): (u32, u32)) -> anyhow::Result<Vec<u8>> {
    let colour = painter(name);
    let scale = 2.0 / height as f32;
    let picture = RgbImage::from_fn(width, height, |x, y| {
        let x = (x as f32 - width as f32 / 2.0) * scale;
        let y = (y as f32 - height as f32 / 2.0) * scale;
        Rgb(colour(x, y).map(|part| (part.clamp(0.0, 1.0) * 255.0) as u8))
    });
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

/// A colour for each point; `y` goes from -1 to 1.
type Painter = fn(f32, f32) -> [f32; 3];

fn painter(name: &str) -> Painter {
    match name {
        "aurora" => aurora,
        "dunes" => dunes,
        "julia" => |x, y| escape([x, y], [-0.8, 0.156]),
        "mandelbrot" => |x, y| escape([0.0; 2], [x * 1.25 - 0.6, y * 1.25]),
        "plasma" => plasma,
        "ripples" => ripples,
        _ => moon,
    }
}

/// A colour of a wheel on which three hues take turns, each a little later than the one before.
fn wheel(turn: f32, hues: [f32; 3]) -> [f32; 3] {
    hues.map(|hue| 0.5 + 0.5 * (TAU * (turn + hue)).cos())
}

fn mix(a: [f32; 3], b: [f32; 3], part: f32) -> [f32; 3] {
    std::array::from_fn(|n| a[n] + (b[n] - a[n]) * part.clamp(0.0, 1.0))
}

/// How soon does z ↦ z² + c run away?
fn escape(mut z: [f32; 2], c: [f32; 2]) -> [f32; 3] {
    const PATIENCE: u16 = 96;
    for n in 0..PATIENCE {
        let [re, im] = z;
        let length = re * re + im * im;
        if length > 64.0 {
            let smooth = f32::from(n) - length.log2().log2();
            return wheel(0.45 + smooth * 0.03, [0.0, 0.1, 0.2]);
        }
        z = [re * re - im * im + c[0], 2.0 * re * im + c[1]];
    }
    [0.02, 0.02, 0.08]
}

fn aurora(x: f32, y: f32) -> [f32; 3] {
    let curtain = (x * 3.0 + (y * 2.0 + x).sin()).sin() * 0.5 + 0.5;
    let folds = (x * 22.0 + y * 3.0).sin() * 0.15 + 0.85;
    let glow = curtain * folds * (1.0 - (y + 0.2).abs()).max(0.0);
    mix(
        [0.02, 0.03, 0.12],
        wheel(0.35 + y * 0.2, [0.0, 0.65, 0.4]),
        glow,
    )
}

fn dunes(x: f32, y: f32) -> [f32; 3] {
    let mut colour = mix([0.95, 0.6, 0.35], [0.35, 0.45, 0.75], -y);
    for n in 0..5u8 {
        let n = f32::from(n);
        let ridge = -0.2 + n * 0.22 + 0.12 * (x * (1.4 + n * 0.3) + n * 1.9).sin();
        if y > ridge {
            let light = 0.5 + 0.5 * ((y - ridge) * (90.0 - n * 12.0) + x * 6.0).sin() * 0.2;
            colour = mix([0.95, 0.7, 0.4], [0.35, 0.18, 0.12], n * 0.18 + light - 0.5);
        }
    }
    colour
}

fn plasma(x: f32, y: f32) -> [f32; 3] {
    let waves =
        (x * 3.0).sin() + (y * 4.0 + x).sin() + (x * x + y * y).sqrt().mul_add(5.0, 1.0).sin();
    wheel(waves * 0.22, [0.0, 0.33, 0.67])
}

fn ripples(x: f32, y: f32) -> [f32; 3] {
    let drop = |a: f32, b: f32| ((x - a).hypot(y - b) * 28.0).sin();
    let height = drop(-0.7, -0.2) + drop(0.6, 0.4);
    mix([0.05, 0.2, 0.35], [0.75, 0.95, 0.95], 0.5 + height * 0.25)
}

fn moon(x: f32, y: f32) -> [f32; 3] {
    let away = (x - 0.4).hypot(y + 0.3);
    let crater = ((x * 17.0).sin() * (y * 19.0).cos()) * 0.06;
    let sky = mix(
        [0.02, 0.02, 0.1],
        [0.15, 0.2, 0.4],
        (y + 1.0) / 2.0 + 0.3 / (1.0 + away * 4.0),
    );
    mix(
        [0.93 + crater, 0.92 + crater, 0.82 + crater],
        sky,
        (away - 0.35) * 60.0,
    )
}
