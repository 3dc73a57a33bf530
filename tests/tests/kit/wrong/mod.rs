//! Tests as one writes them by mistake, and what they say: each has its message beside it, in a file of its name. `LIGHTBUS_BLESS=1` writes them.

mod apps;
mod faults;
mod handlers;
mod stubs;
mod time;
mod values;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lightbus::testing::{__On, __run, TestBus};
use lightbus::{Bus, Error, HandlerError};
use serde::{Deserialize, Serialize};

#[lightbus::api(name = "shop")]
pub(crate) trait ShopApi {
    async fn in_stock(&self, part: String) -> Result<u32, StockError>;
    async fn price(&self, part: String) -> u64;
    #[task(retries = 2, backoff = "5ms fixed")]
    async fn pack(&self, order: u64) -> Result<(), String>;
    #[event]
    fn ordered(id: u64, part: String, to: Address);
    #[event]
    fn shipped(id: u64);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    name: String,
    street: Street,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Street {
    name: String,
    number: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum StockError {
    NoSuchPart { part: String },
}

impl std::fmt::Display for StockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::NoSuchPart { part } = self;
        write!(f, "no such part: {part}")
    }
}

impl std::error::Error for StockError {}

/// An order of a part, by Ada.
fn ordered(id: u64, part: &str) -> Ordered {
    let (name, part) = ("Ada".to_owned(), part.to_owned());
    let street = Street {
        name: "Dorset Street".to_owned(),
        number: 1,
    };
    let to = Address { name, street };
    Ordered { id, part, to }
}

/// A program under test: it packs what is ordered and in stock.
async fn packing(bus: &Bus) -> Result<(), Error> {
    let shop = ShopApiClient::new(bus);
    let client = shop.clone();
    let reserve = move |order: Ordered| {
        let shop = client.clone();
        async move {
            if shop.in_stock(order.part).await? > 0 {
                shop.pack(order.id).enqueue().await?;
            }
            Ok::<_, HandlerError>(())
        }
    };
    let retry = lightbus::Retry::never();
    shop.ordered()
        .retry(retry)
        .listen("reserve", reserve)
        .await?;
    Ok(())
}

/// A provider: of packing, order 0 fails.
struct Shop;

impl ShopApi for Shop {
    async fn in_stock(&self, part: String) -> Result<u32, StockError> {
        match part.as_str() {
            "flux capacitor" => Err(StockError::NoSuchPart { part }),
            _ => Ok(4),
        }
    }

    async fn price(&self, _: String) -> u64 {
        900
    }

    async fn pack(&self, order: u64) -> Result<(), String> {
        match order {
            0 => Err("no such order".to_owned()),
            _ => Ok(()),
        }
    }
}

thread_local! {
    static BUS: RefCell<Option<TestBus>> = const { RefCell::new(None) };
}

/// Runs a wrong test as `#[lightbus::test]` does, and compares what it says.
fn says<F: Future<Output = anyhow::Result<()>>>(name: &str, test: impl FnOnce(TestBus) -> F) {
    let kept = |bus: TestBus| {
        BUS.set(Some(bus.clone()));
        test(bus)
    };
    let ran = catch_unwind(AssertUnwindSafe(|| __run(__On::Embedded, kept)));
    let bus = BUS.take().expect("it has a bus");
    let said = match ran {
        Ok(Ok(())) => panic!("a wrong test passed"),
        Ok(Err(error)) => format!("Error: {error:#}\n\n{}", bus.account()),
        Err(panic) => match panic.downcast_ref::<String>() {
            // A flood of messages is another one each time.
            Some(text) if text.contains("was not quiet") => text.clone(),
            // The kit's own, which has said what went wrong.
            Some(text) if text.contains("help:") || text.contains(".rs:") => {
                format!("{text}\n{}", bus.story())
            }
            Some(text) => format!("{text}\n\n{}", bus.account()),
            None => panic!("no text"),
        },
    };
    let said = normalised(&said);
    let path = format!("tests/kit/wrong/{name}.txt");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("LIGHTBUS_BLESS").is_some() {
        std::fs::write(&path, &said).expect("it can be written");
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = wanted
        .lines()
        .zip(said.lines())
        .find(|(wanted, said)| wanted != said);
    assert!(
        wanted == said,
        "it says something else; `LIGHTBUS_BLESS=1` writes it down. First difference: {differs:?}\n--- wanted\n{wanted}\n--- said\n{said}"
    );
}

/// Without what is another one each time: times, lines, ids.
fn normalised(text: &str) -> String {
    let words = |line: &str| {
        let words: Vec<_> = line.split(' ').map(normalised_word).collect();
        words.join(" ")
    };
    let lines = text.lines().map(|line| words(&timeless(line)) + "\n");
    lines.collect()
}

/// `+12.3 ms` as `+…`; in a column as far to the right as the time was.
fn timeless(line: &str) -> String {
    let is_time = |at: &usize| line[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let Some(at) = line.match_indices('+').map(|(at, _)| at).find(is_time) else {
        return line.to_owned();
    };
    let (before, time) = line.split_at(at);
    let mut words = time.splitn(3, ' ').skip(1);
    let unit = words
        .next()
        .unwrap_or_default()
        .trim_matches(|c: char| !c.is_alphabetic());
    let end = time
        .find(' ')
        .map_or(time.len(), |space| space + 1 + unit.len());
    let (time, rest) = time.split_at(end);
    match before.trim().is_empty() {
        true => format!("{:>width$}{rest}", "+…", width = at + time.len()),
        false => format!("{before}+…{rest}"),
    }
}

fn normalised_word(word: &str) -> String {
    if let Some((path, _)) = word.split_once(".rs:") {
        let file = path.rsplit('/').next().unwrap_or(path);
        return format!("{file}.rs:…:");
    }
    if let Some((host, _)) = word.split_once("127.0.0.1:") {
        return format!("{host}127.0.0.1:…");
    }
    let is_id =
        |text: &str| text.len() >= 32 && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    let parts = word
        .split('.')
        .map(|part| if is_id(part) { "…" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

/// Wrong tests.
macro_rules! wrong {
    ($($(#[$doc:meta])* async fn $name:ident($bus:ident) $body:block)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            crate::wrong::says(stringify!($name), |$bus: lightbus::testing::TestBus| async move {
                $body
                #[allow(unreachable_code)]
                anyhow::Ok(())
            });
        }
    )*};
}
use wrong;
