//! Spares: keeps the parts, and says when one runs out. Alone: `cargo run -p company-spares`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use company_journal::{Journal, heard};
use company_sales_api::{MachineSold, SalesApiClient};
use company_spares_api::{
    PartArrived, PartRanOut, Posted, SparesApi, SparesApiEvents, SparesApiServer, SparesError,
    Stock,
};
use lightbus::Bus;
use tokio::sync::Mutex;

/// Serves, and listens, for as long as the bus lives.
///
/// # Errors
/// When the broker refuses it.
pub async fn start(bus: &Bus) -> anyhow::Result<()> {
    // Every machine that is sold, new or refurbished, will need parts one day.
    let machines = Arc::new(AtomicU32::new(0));
    let sales = SalesApiClient::new(bus);
    sales
        .machine_sold()
        .listen("plan-parts", move |sold| {
            plan_parts(Arc::clone(&machines), sold)
        })
        .await?;

    bus.serve(SparesApiServer::new(Shelf::new(bus))).await?;
    Ok(())
}

struct Shelf {
    events: SparesApiEvents,
    parts: Mutex<HashMap<String, Stock>>,
}

impl Shelf {
    fn new(bus: &Bus) -> Self {
        let pump = ("pump".to_owned(), Stock { left: 1, euros: 39 });
        let gasket = ("gasket".to_owned(), Stock { left: 12, euros: 4 });
        Self {
            events: SparesApiEvents::new(bus),
            parts: Mutex::new(HashMap::from([pump, gasket])),
        }
    }

    /// Changes how many there are of a part. `None`: there are too few.
    async fn change(
        &self,
        part: &str,
        change: impl FnOnce(u32) -> Option<u32>,
    ) -> Result<Stock, SparesError> {
        let mut parts = self.parts.lock().await;
        let stock = parts.get_mut(part).ok_or_else(|| SparesError::NoSuchPart {
            part: part.to_owned(),
        })?;
        stock.left = change(stock.left).ok_or_else(|| SparesError::NoneLeft {
            part: part.to_owned(),
        })?;
        Ok(stock.clone())
    }
}

impl SparesApi for Shelf {
    async fn in_stock(&self, part: String) -> Result<Stock, SparesError> {
        self.parts
            .lock()
            .await
            .get(&part)
            .cloned()
            .ok_or(SparesError::NoSuchPart { part })
    }

    async fn send(&self, part: String, _customer: String) -> Result<Posted, SparesError> {
        let Stock { left, .. } = self.change(&part, |left| left.checked_sub(1)).await?;
        if left == 0 {
            let word = format!("spares.part_ran_out({part})");
            let published = self
                .events
                .part_ran_out()
                .publish(PartRanOut { part })
                .announcing(word);
            published.await.map_err(|error| SparesError::TryLater {
                reason: error.to_string(),
            })?;
        }
        Ok(Posted { left })
    }

    async fn deliver(&self, part: String, count: u32) -> Result<Stock, SparesError> {
        let stock = self.change(&part, |left| left.checked_add(count)).await?;
        let word = format!("spares.part_arrived({part}, {count})");
        let published = self
            .events
            .part_arrived()
            .publish(PartArrived { part, count })
            .announcing(word);
        published.await.map_err(|error| SparesError::TryLater {
            reason: error.to_string(),
        })?;
        Ok(stock)
    }
}

async fn plan_parts(machines: Arc<AtomicU32>, sold: MachineSold) {
    let machines = machines.fetch_add(1, Ordering::Relaxed) + 1;
    heard(format!(
        "plans parts for {}, machine no. {machines}",
        sold.serial
    ));
}
