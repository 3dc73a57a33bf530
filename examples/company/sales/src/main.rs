//! Sales: sells machines, and says so. Alone: `cargo run -p company-sales`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use company_journal::{Journal, heard};
use company_sales_api::{
    MachineSold, OrderError, Receipt, SalesApi, SalesApiEvents, SalesApiServer,
};
use company_spares_api::{SparesApiClient, SparesApiEvent};
use company_warranty_api::{ModelRecalled, WarrantyApiClient};
use lightbus::Bus;
use tokio::sync::Mutex;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("sales");
    let bus = Bus::connect("sales").await?;
    let shop = Arc::new(Shop {
        events: SalesApiEvents::new(&bus),
        sold: AtomicU32::new(0),
        recalled: Mutex::default(),
    });

    // One listener over all events of an API. Named: the replicas of sales share one queue, each event is for one of them.
    SparesApiClient::new(&bus)
        .events()
        .listen("shop-window", change_the_window)
        .await?;

    // A broadcast: every replica of sales must know, for each has its own list.
    let till = Arc::clone(&shop);
    let recalls = WarrantyApiClient::new(&bus).model_recalled();
    recalls
        .broadcast("stop-selling", move |recall| {
            Arc::clone(&till).stop_selling(recall)
        })
        .await?;

    bus.serve(SalesApiServer::from_arc(shop)).await?;
    company_journal::ready();
    bus.run_until_shutdown().await?;
    Ok(())
}

struct Shop {
    events: SalesApiEvents,
    sold: AtomicU32,
    recalled: Mutex<HashSet<String>>,
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
        Ok(Receipt { serial, euros })
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
