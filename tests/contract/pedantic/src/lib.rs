//! An API of every shape, under lints that generated code has to bear: they are the user's to choose.
#![deny(warnings, clippy::all, clippy::pedantic, missing_docs)]
#![deny(
    missing_debug_implementations,
    rust_2018_idioms,
    single_use_lifetimes,
    trivial_casts
)]
#![deny(
    trivial_numeric_casts,
    unreachable_pub,
    unused_lifetimes,
    unused_qualifications
)]

use std::collections::HashMap;
use std::time::Duration;

use lightbus::{Bus, CallError, EnqueueError};
use serde::{Deserialize, Serialize};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SparesError {
    /// There is no such part.
    Unknown,
}

/// A part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its number.
    pub number: u64,
}

/// Spare parts.
#[lightbus::api(name = "company.spares")]
pub trait SparesApi {
    /// Finds a part.
    #[rpc(timeout = "2s", idempotent)]
    async fn find(&self, number: u64) -> Result<Part, SparesError>;

    /// How many are left of each.
    async fn stock(&self, of: Vec<String>, at_least: Option<u32>) -> HashMap<String, u32>;

    /// Stores a picture.
    async fn store_picture(&self, part: Part, picture: Vec<u8>);

    /// Takes everything by value, and more of it than Clippy likes.
    #[allow(clippy::too_many_arguments, clippy::fn_params_excessive_bools)]
    async fn order(
        &self,
        part: Part,
        by: String,
        a: bool,
        b: bool,
        c: bool,
        d: bool,
        count: u32,
        notes: Vec<String>,
    ) -> Result<(), SparesError>;

    /// A call that every provider has.
    async fn version(&self) -> String {
        "1".to_owned()
    }

    /// A call of a call.
    ///
    /// # Errors
    ///
    /// If there is no such part.
    async fn number_of(&self, part: u64) -> Result<u64, SparesError> {
        let part = self.find(part).await?;
        Ok(part.number)
    }

    /// Counts them all, in the background.
    #[task(
        retries = 5,
        backoff = "1s, 10s, 1m",
        timeout = "30s",
        expires = "1h",
        result_ttl = "7d",
        unique,
        rate = "10/m",
        concurrency = 3
    )]
    async fn count_all(&self, warehouse: String, notes: Vec<u8>) -> Result<u64, SparesError>;

    /// Throws away what nobody wants.
    #[task(queue = "slow")]
    async fn clear_out(&self, part: Part);

    /// A call of the past.
    #[deprecated = "use `find`"]
    async fn look_up(&self, number: u64) -> Option<Part>;

    /// The stock of a part changed.
    #[event]
    fn stock_changed(#[key] part: String, #[key] warehouse: u32, left: u64, price: f64);

    /// A part was ordered.
    #[event]
    fn part_ordered(part: Part, urgent: bool, gift: bool, paid: bool, abroad: bool);

    /// A part is no longer made.
    #[event]
    fn part_retired(number: u64);

    /// All parts were counted.
    #[event]
    fn inventory_done();
}

struct Spares;

impl SparesApi for Spares {
    async fn find(&self, number: u64) -> Result<Part, SparesError> {
        if number == 0 {
            Err(SparesError::Unknown)
        } else {
            Ok(Part { number })
        }
    }

    async fn stock(&self, of: Vec<String>, at_least: Option<u32>) -> HashMap<String, u32> {
        of.into_iter()
            .map(|part| (part, at_least.unwrap_or(1)))
            .collect()
    }

    async fn store_picture(&self, part: Part, picture: Vec<u8>) {
        drop((part, picture));
    }

    async fn order(
        &self,
        part: Part,
        by: String,
        a: bool,
        b: bool,
        c: bool,
        d: bool,
        count: u32,
        notes: Vec<String>,
    ) -> Result<(), SparesError> {
        let wanted = a && b && c && d && count > 0 && part.number > 0;
        if wanted && !by.is_empty() && notes.is_empty() {
            Ok(())
        } else {
            Err(SparesError::Unknown)
        }
    }

    async fn count_all(&self, warehouse: String, notes: Vec<u8>) -> Result<u64, SparesError> {
        if warehouse.is_empty() && notes.is_empty() {
            Err(SparesError::Unknown)
        } else {
            Ok(1)
        }
    }

    async fn clear_out(&self, part: Part) {
        assert_ne!(part.number, 0);
    }

    async fn look_up(&self, number: u64) -> Option<Part> {
        self.find(number).await.ok()
    }
}

/// Serves the API.
///
/// # Errors
///
/// If the bus is gone.
pub async fn serve(bus: &Bus) -> Result<(), lightbus::Error> {
    bus.serve(SparesApiServer::new(Spares)).await?;
    Ok(())
}

/// Enqueues.
///
/// # Errors
///
/// Whatever the bus says.
pub async fn enqueue(bus: &Bus) -> Result<(), EnqueueError> {
    let spares = SparesApiClient::new(bus);
    spares.count_all("north", b"").enqueue().await?;
    spares
        .clear_out(Part { number: 7 })
        .after(Duration::from_secs(60))
        .enqueue()
        .await?;
    Ok(())
}

/// Uses the API.
///
/// # Errors
///
/// Whatever a call says.
pub async fn call(bus: &Bus) -> Result<u64, CallError<SparesError>> {
    let spares = SparesApiClient::new(bus);
    let part = spares.find(7).await?;
    spares
        .order(part.clone(), "ada", true, true, true, true, 1, Vec::new())
        .await?;
    let _ = spares
        .stock_changed()
        .only(StockChanged::part_is("bolt"))
        .only(StockChanged::warehouse_is(7));
    spares.number_of(part.number).await
}
