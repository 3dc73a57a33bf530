//! Futures that are compiled here, once, and not in each crate that awaits them.
//!
//! The code of an `async fn` is generated where it is awaited. A function that is neither async nor generic, and returns a box, keeps it in this
//! crate: without that, every app and API crate would compile lapin again.

use std::pin::Pin;

pub(crate) type Boxed<T> = BoxedFor<'static, T>;
pub(crate) type BoxedFor<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
