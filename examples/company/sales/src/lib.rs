//! Sales: sells machines, and says so. Alone: `cargo run -p company-sales`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use company_journal::{Journal, heard};
use company_sales_api::{
    DayClosed, MachineSold, OrderError, Receipt, SalesApi, SalesApiClient, SalesApiEvents,
    SalesApiServer,
};
use company_spares_api::{SparesApiClient, SparesApiEvent};
use company_warranty_api::{ModelRecalled, WarrantyApiClient};
use lightbus::Bus;
use tokio::sync::Mutex;

/// Serves, and listens, for as long as the bus lives.
///
/// # Errors
/// When the broker refuses it.
pub async fn start(bus: &Bus) -> anyhow::Result<()> {
    let shop = Arc::new(Shop {
        events: SalesApiEvents::new(bus),
        sold: AtomicU32::new(0),
        till: Mutex::default(),
        recalled: Mutex::default(),
    });

    // One listener over all events of an API. Named: the replicas of sales share one queue, each event is for one of them.
    SparesApiClient::new(bus)
        .events()
        .listen("shop-window", change_the_window)
        .await?;

    // A broadcast: every replica of sales must know, for each has its own list.
    let till = Arc::clone(&shop);
    let recalls = WarrantyApiClient::new(bus).model_recalled();
    recalls
        .broadcast("stop-selling", move |recall| {
            Arc::clone(&till).stop_selling(recall)
        })
        .await?;

    bus.serve(SalesApiServer::from_arc(shop)).await?;

    // Each replica names it, one of them fires it.
    let close = SalesApiClient::new(bus).close_the_till();
    bus.schedule("nightly").cron("0 3 * * *").run(close).await?;
    Ok(())
}

struct Shop {
    events: SalesApiEvents,
    sold: AtomicU32,
    till: Mutex<Till>,
    recalled: Mutex<HashSet<String>>,
}

/// What was sold since the till was closed.
#[derive(Default)]
struct Till {
    machines: u32,
    euros: u32,
}

impl SalesApi for Shop {
    async fn order(
        &self,
        customer: String,
        model: String,
        refurbished: bool,
    ) -> Result<Receipt, OrderError> {
        if model != "Aurora" {
            return Err(OrderError::NoSuchModel { model });
        }
        if self.recalled.lock().await.contains(&model) {
            return Err(OrderError::Recalled { model });
        }
        let (letter, euros) = if refurbished { ('R', 299) } else { ('A', 499) };
        let serial = format!(
            "{letter}-{}",
            1001 + self.sold.fetch_add(1, Ordering::Relaxed)
        );

        // Once the broker has confirmed it, warranty and spares will learn of it, even if they are down at the moment.
        let sale = MachineSold {
            refurbished,
            serial: serial.clone(),
            model,
            customer,
        };
        let published = self
            .events
            .machine_sold()
            .publish(sale)
            .announcing(format!("sales.machine_sold({serial})"));
        published.await.map_err(|error| OrderError::TryLater {
            reason: error.to_string(),
        })?;
        let mut till = self.till.lock().await;
        till.machines += 1;
        till.euros += euros;
        Ok(Receipt { serial, euros })
    }

    async fn close_the_till(&self) -> Result<(), String> {
        let mut till = self.till.lock().await;
        let day = DayClosed {
            machines: till.machines,
            euros: till.euros,
        };
        let published = self.events.day_closed().publish(day).await;
        published.map_err(|error| error.to_string())?;
        *till = Till::default();
        Ok(())
    }
}

impl Shop {
    async fn stop_selling(self: Arc<Self>, recall: ModelRecalled) {
        self.recalled.lock().await.insert(recall.model.clone());
        heard(format!("stops selling the {}", recall.model));
    }
}

async fn change_the_window(event: SparesApiEvent) {
    match event {
        SparesApiEvent::PartRanOut(ran_out) => {
            heard(format!("takes the {}s out of the window", ran_out.part));
        }
        SparesApiEvent::PartArrived(arrived) => {
            heard(format!("puts the {}s back into the window", arrived.part));
        }
    }
}
