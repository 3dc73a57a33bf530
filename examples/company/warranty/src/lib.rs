//! Warranty: covers the new machines, and calls back a model that breaks too often. Alone: `cargo run -p company-warranty`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use company_journal::{Journal, heard};
use company_sales_api::{MachineSold, SalesApiClient};
use company_support_api::{RepairPromised, SupportApiClient};
use company_warranty_api::{
    Coverage, ModelRecalled, WarrantyApi, WarrantyApiEvents, WarrantyApiServer, WarrantyError,
};
use lightbus::{Bus, EnqueueError, MemoryStore, PublishError};
use tokio::sync::Mutex;

/// How long a new machine is covered.
const YEARS: u8 = 2;
/// When a new machine should be descaled.
const DESCALE_AFTER: Duration = Duration::from_secs(90 * 24 * 3600);

/// Serves, and listens, for as long as the bus lives.
///
/// # Errors
/// When the broker refuses it.
pub async fn start(bus: &Bus) -> anyhow::Result<()> {
    let files = Arc::new(Files {
        events: WarrantyApiEvents::new(bus),
        support: SupportApiClient::new(bus),
        machines: Mutex::default(),
        repairs: Mutex::default(),
    });

    // Only new machines are covered. The broker does not even send us the sale of a refurbished one.
    let new_machines = SalesApiClient::new(bus)
        .machine_sold()
        .only(MachineSold::refurbished_is(false))
        .deduplicate(MemoryStore::new());
    let clerk = Arc::clone(&files);
    new_machines
        .listen("open-a-file", move |sold| {
            Arc::clone(&clerk).open_a_file(sold)
        })
        .await?;

    // An event may come twice. A repair that counts twice would call back a model that is in order.
    let free_repairs = SupportApiClient::new(bus)
        .repair_promised()
        .only(RepairPromised::free_is(true))
        .deduplicate(MemoryStore::new());
    let clerk = Arc::clone(&files);
    free_repairs
        .listen("count-repairs", move |repair| {
            Arc::clone(&clerk).count_the_repair(repair)
        })
        .await?;

    bus.serve(WarrantyApiServer::from_arc(files)).await?;
    Ok(())
}

struct Files {
    events: WarrantyApiEvents,
    support: SupportApiClient,
    machines: Mutex<HashMap<String, (String, Coverage)>>,
    repairs: Mutex<HashMap<(String, String), u32>>,
}

impl WarrantyApi for Files {
    async fn coverage(&self, serial: String) -> Result<Coverage, WarrantyError> {
        match self.machines.lock().await.get(&serial) {
            Some((_, coverage)) => Ok(coverage.clone()),
            None => Err(WarrantyError::NotCovered { serial }),
        }
    }
}

impl Files {
    async fn open_a_file(self: Arc<Self>, sold: MachineSold) -> Result<(), EnqueueError> {
        let reminder = self.support.remind(&sold.customer, &sold.serial);
        reminder.after(DESCALE_AFTER).enqueue().await?;
        let coverage = Coverage {
            owner: sold.customer,
            years: YEARS,
        };
        self.machines
            .lock()
            .await
            .insert(sold.serial.clone(), (sold.model, coverage));
        heard(format!("covers {} for {YEARS} years", sold.serial));
        Ok(())
    }

    async fn one_more_repair(&self, model: &str, part: &str) -> u32 {
        let mut repairs = self.repairs.lock().await;
        let count = repairs
            .entry((model.to_owned(), part.to_owned()))
            .or_default();
        *count += 1;
        *count
    }

    /// The second repair of the same part is one too many.
    async fn count_the_repair(self: Arc<Self>, repair: RepairPromised) -> Result<(), PublishError> {
        let Some((model, _)) = self.machines.lock().await.get(&repair.serial).cloned() else {
            return Ok(());
        };
        let count = self.one_more_repair(&model, &repair.part).await;
        heard(format!("counts broken {}s: {count}", repair.part));
        if count == 2 {
            let word = format!("warranty.model_recalled({model}, {})", repair.part);
            let recall = ModelRecalled {
                model,
                part: repair.part,
            };
            self.events
                .model_recalled()
                .publish(recall)
                .announcing(word)
                .await?;
        }
        Ok(())
    }
}
