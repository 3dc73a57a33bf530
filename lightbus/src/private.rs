//! Every path that generated code may touch, besides the public ones.

pub use core::option::Option::{self, None, Some};
pub use core::result::Result::{self, Err, Ok};
pub use std::boxed::Box;
pub use std::string::String;
pub use std::sync::Arc;
pub use std::time::Duration;
pub use std::vec::Vec;

pub use serde;

pub use lightbus_runtime::__private::*;
pub use lightbus_runtime::{EventSet, KeyFilter};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type that can be an argument, an answer, or an error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel over the bus",
    label = "needs `Serialize` and `Deserialize`",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to the type; it must own its data. Of a type of another crate, an error for instance, send its text or a type of your own"
)]
pub trait Wire {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Wire for T {}

/// Fails to compile, at the place where the type is written, if it cannot travel.
pub const fn assert_wire<T: Wire + ?Sized>() {}
