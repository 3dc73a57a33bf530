//! Types of every shape.
#![deny(warnings)]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub type Name = Option<String>;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shape<T> {
    Round { radius: T },
    Square(T),
}

mod errors {
    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    pub enum Result<T, E> {
        Ok(T),
        Err(E),
    }
}

#[lightbus::api(name = "shapes")]
pub trait ShapesApi {
    async fn one(
        &self,
        a: (u8, String),
        b: [u8; 4],
        c: Option<Option<u8>>,
        d: Box<Shape<f64>>,
    ) -> ();
    async fn two(
        &self,
        a: HashMap<String, Vec<u8>>,
        b: BTreeMap<u8, (u8, u8)>,
        c: Name,
        d: Duration,
    ) -> (u8, u8);
    async fn three(&self, a: char, b: i128, c: f32, d: ()) -> Result<(), ()>;
    async fn four(&self) -> std::result::Result<Vec<Shape<String>>, Shape<u8>>;
    async fn five(&self, shape: Shape<Vec<Option<u64>>>) -> Option<Result<u8, String>>;

    #[event]
    fn drawn(a: (u8, String), b: [u8; 4], c: Shape<f64>, d: HashMap<String, Vec<u8>>, e: Name);
}

pub async fn uses(bus: &lightbus::Bus) {
    let shapes = ShapesApiClient::new(bus);
    let _: Result<(), lightbus::CallError<()>> = shapes.three('a', 1, 0.5, ()).await;
    let _: Result<Vec<Shape<String>>, lightbus::CallError<Shape<u8>>> = shapes.four().await;
    let _ = shapes
        .one(
            (1, "a".to_string()),
            [1; 4],
            None,
            Box::new(Shape::Square(0.5)),
        )
        .await;
    let _ = errors::Result::<u8, u8>::Ok(1);
    let _ = errors::Result::<u8, u8>::Err(1);
    let _ = Shape::Round { radius: 1 };
}

fn main() {}
