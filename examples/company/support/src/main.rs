//! Support: helps customers, and asks its colleagues before it does. Alone: `cargo run -p company-support`.

use std::collections::HashMap;
use std::sync::Arc;

use company_journal::{Journal, heard};
use company_spares_api::{PartArrived, PartRanOut, SparesApiClient, SparesError};
use company_support_api::{
    Help, RepairPromised, SupportApi, SupportApiEvents, SupportApiServer, SupportError,
};
use company_warranty_api::{ModelRecalled, WarrantyApiClient, WarrantyError};
use lightbus::{Bus, CallError};
use tokio::sync::Mutex;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    company_journal::open("support");
    let bus = Bus::connect("support").await?;
    let desk = Arc::new(Desk::new(&bus));

    let clerk = Arc::clone(&desk);
    desk.spares
        .part_ran_out()
        .listen("start-a-list", move |part| {
            Arc::clone(&clerk).start_a_list(part)
        })
        .await?;
    let clerk = Arc::clone(&desk);
    desk.spares
        .part_arrived()
        .listen("serve-the-list", move |part| {
            Arc::clone(&clerk).serve_the_list(part)
        })
        .await?;
    desk.warranty
        .model_recalled()
        .broadcast("warn-the-desks", warn_the_desks)
        .await?;

    bus.serve(SupportApiServer::from_arc(desk)).await?;
    company_journal::ready();
    bus.run_until_shutdown().await?;
    Ok(())
}

struct Desk {
    spares: SparesApiClient,
    warranty: WarrantyApiClient,
    events: SupportApiEvents,
    /// Who waits for which part. A part without a list is on the shelf, for all we know.
    waiting: Mutex<HashMap<String, Vec<Customer>>>,
}

struct Customer {
    name: String,
    serial: String,
    free: bool,
}

impl SupportApi for Desk {
    async fn help(
        &self,
        customer: String,
        serial: String,
        part: String,
    ) -> Result<Help, SupportError> {
        let coverage = self
            .warranty
            .coverage(&serial)
            .asking(format!("warranty.coverage({serial})"))
            .await;
        let free = match coverage {
            Ok(_) => true,
            Err(CallError::Domain(WarrantyError::NotCovered { .. })) => false,
            Err(other) => return Err(call_again(other)),
        };
        let customer = Customer {
            name: customer,
            serial,
            free,
        };

        // Spares told us when the last one went: no need to ask.
        if let Some(list) = self.waiting.lock().await.get_mut(&part) {
            list.push(customer);
            return Ok(Help::Waiting { part });
        }
        let stock = self
            .spares
            .in_stock(&part)
            .asking(format!("spares.in_stock({part})"))
            .await;
        let euros = match stock {
            Ok(stock) => stock.euros,
            Err(CallError::Domain(SparesError::NoSuchPart { part })) => {
                return Err(SupportError::NoSuchPart { part });
            }
            Err(other) => return Err(call_again(other)),
        };
        self.send(&part, &customer).await?;
        Ok(if free {
            Help::Free { part }
        } else {
            Help::Paid { part, euros }
        })
    }
}

impl Desk {
    fn new(bus: &Bus) -> Self {
        Self {
            spares: SparesApiClient::new(bus),
            warranty: WarrantyApiClient::new(bus),
            events: SupportApiEvents::new(bus),
            waiting: Mutex::default(),
        }
    }

    /// Has the part posted, and announces it.
    async fn send(&self, part: &str, to: &Customer) -> Result<(), SupportError> {
        let word = format!("spares.send({part}, {})", to.name);
        self.spares
            .send(part, &to.name)
            .asking(word)
            .await
            .map_err(call_again)?;

        let word = format!(
            "support.repair_promised({}, {})",
            to.serial,
            if to.free { "free" } else { "paid" }
        );
        let promise = RepairPromised {
            free: to.free,
            serial: to.serial.clone(),
            part: part.to_owned(),
        };
        self.events
            .repair_promised()
            .publish(promise)
            .announcing(word)
            .await
            .map_err(call_again)
    }

    async fn start_a_list(self: Arc<Self>, ran_out: PartRanOut) {
        self.waiting
            .lock()
            .await
            .insert(ran_out.part.clone(), Vec::new());
        heard(format!("starts a waiting list for {}s", ran_out.part));
    }

    async fn serve_the_list(self: Arc<Self>, arrived: PartArrived) -> Result<(), SupportError> {
        let mut lists = self.waiting.lock().await;
        let mut served = lists.remove(&arrived.part).unwrap_or_default();
        let others = served.split_off(served.len().min(arrived.count as usize));
        if !others.is_empty() {
            lists.insert(arrived.part.clone(), others);
        }
        drop(lists);
        let names: Vec<_> = served
            .iter()
            .map(|customer| customer.name.as_str())
            .collect();
        heard(format!("has good news for {}", names.join(" and ")));
        for customer in &served {
            self.send(&arrived.part, customer).await?;
        }
        Ok(())
    }
}

async fn warn_the_desks(recall: ModelRecalled) {
    heard(format!("warns every desk: {}", recall.model));
}

fn call_again(error: impl std::error::Error) -> SupportError {
    SupportError::CallAgain {
        reason: error.to_string(),
    }
}
