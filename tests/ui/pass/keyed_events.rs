//! Keys: what the broker filters by.
#![deny(warnings)]

use std::borrow::Cow;

use lightbus::{Event, EventKey};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartNo(u32);

impl EventKey for PartNo {
    fn word(&self) -> Cow<'_, str> {
        format!("P{}", self.0).into()
    }
}

#[lightbus::api(name = "spares")]
pub trait SparesApi {
    #[event]
    fn stock_changed(
        #[key] part: String,
        left: f64,
        #[lightbus::key] warehouse: u16,
        #[key] own: PartNo,
        #[key] last: bool,
    );

    #[event]
    fn counted();
}

pub fn uses(bus: &lightbus::Bus) {
    let spares = SparesApiClient::new(bus);
    let _ = spares.stock_changed().only(StockChanged::part_is("bolt"));
    let _ = spares
        .stock_changed()
        .only(StockChanged::part_is(String::from("bolt")));
    let _ = spares
        .stock_changed()
        .only(StockChanged::warehouse_is(7))
        .only(StockChanged::own_is(PartNo(7)));
    let _ = spares.stock_changed().only(StockChanged::last_is(true));
}

fn main() {
    assert_eq!(StockChanged::KEYS, ["part", "warehouse", "own", "last"]);
    assert!(Counted::KEYS.is_empty());
}
