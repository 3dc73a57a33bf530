//! Warranty: covers the new machines, and calls back a model that breaks too often. Alone: `cargo run -p company-warranty`.

use std::collections::HashMap;
use std::sync::Arc;

use company_journal::{Journal, heard};
use company_sales_api::{MachineSold, SalesApiClient};
use company_support_api::{RepairPromised, SupportApiClient};
use company_warranty_api::{
    Coverage, ModelRecalled, WarrantyApi, WarrantyApiEvents, WarrantyApiServer, WarrantyError,
};
use lightbus::{Bus, PublishError};
use tokio::sync::Mutex;

/// How long a new machine is covered.
const YEARS: u8 = 2;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("warranty");
    let bus = Bus::connect("warranty").await?;
    let files = Arc::new(Files {
        events: WarrantyApiEvents::new(&bus),
        machines: Mutex::default(),
        repairs: Mutex::default(),
    });

    // Only new machines are covered. The broker does not even send us the sale of a refurbished one.
    let new_machines = SalesApiClient::new(&bus)
        .machine_sold()
        .only(MachineSold::refurbished_is(false));
    let clerk = Arc::clone(&files);
    new_machines
        .listen("open-a-file", move |sold| {
            Arc::clone(&clerk).open_a_file(sold)
        })
        .await?;

    let free_repairs = SupportApiClient::new(&bus)
        .repair_promised()
        .only(RepairPromised::free_is(true));
    let clerk = Arc::clone(&files);
    free_repairs
        .listen("count-repairs", move |repair| {
            Arc::clone(&clerk).count_the_repair(repair)
        })
        .await?;

    bus.serve(WarrantyApiServer::from_arc(files)).await?;
    company_journal::ready();
    bus.run_until_shutdown().await?;
    Ok(())
}

struct Files {
    events: WarrantyApiEvents,
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
    async fn open_a_file(self: Arc<Self>, sold: MachineSold) {
        let coverage = Coverage {
            owner: sold.customer,
            years: YEARS,
        };
        self.machines
            .lock()
            .await
            .insert(sold.serial.clone(), (sold.model, coverage));
        heard(format!("covers {} for {YEARS} years", sold.serial));
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
