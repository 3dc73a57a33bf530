//! Event arguments that become words of the routing key, so that the broker filters by them.

use std::borrow::Cow;
use std::fmt::Display;
use std::marker::PhantomData;

use crate::topology::push_word;

/// A type that an argument marked `#[key]` may have: text, integers, `bool` and `char`.
///
/// Implement it for your own identifiers. Two values are the same to the broker if their words are.
///
/// ```
/// struct PartNo(u32);
/// impl lightbus_runtime::EventKey for PartNo {
///     fn word(&self) -> std::borrow::Cow<'_, str> {
///         format!("P{:05}", self.0).into()
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a `#[key]` of an event",
    label = "a key becomes a word of the routing key",
    note = "use text, an integer, `bool` or `char`, or implement `lightbus::EventKey` for your type"
)]
pub trait EventKey {
    /// The value as text. Any characters are fine; those with a meaning in routing keys are escaped.
    fn word(&self) -> Cow<'_, str>;
}

impl EventKey for str {
    fn word(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl EventKey for String {
    fn word(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

impl<T: EventKey + ?Sized> EventKey for &T {
    fn word(&self) -> Cow<'_, str> {
        T::word(self)
    }
}

fn display(value: &impl Display) -> Cow<'static, str> {
    Cow::Owned(value.to_string())
}

macro_rules! display_keys {
    ($($type:ty)*) => {$(
        impl EventKey for $type {
            fn word(&self) -> Cow<'_, str> {
                display(self)
            }
        }
    )*};
}

display_keys! { u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize bool char }

/// Builds the routing key of an event being published.
#[derive(Debug)]
pub struct KeyWriter(pub(crate) String);

impl KeyWriter {
    /// Adds the value of the next `#[key]` argument.
    pub fn push<K: EventKey + ?Sized>(&mut self, value: &K) {
        self.0.push('.');
        push_word(&mut self.0, &value.word());
    }
}

/// Asks for events whose key has a certain value: `StockChanged::part_is("bolt")`. Give it to
/// [`Subscription::only`](crate::Subscription::only).
#[derive(Clone, Debug)]
pub struct KeyFilter<E> {
    pub(crate) index: usize,
    pub(crate) word: String,
    event: PhantomData<fn() -> E>,
}

impl<E> KeyFilter<E> {
    #[doc(hidden)]
    pub fn new<K: EventKey + ?Sized>(index: usize, value: &K) -> Self {
        let mut word = String::new();
        push_word(&mut word, &value.word());
        Self {
            index,
            word,
            event: PhantomData,
        }
    }
}
