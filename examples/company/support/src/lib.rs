//! Support: helps customers, and asks its colleagues before it does. Alone: `cargo run -p company-support`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use company_journal::{Journal, heard};
use company_spares_api::{PartArrived, PartRanOut, SparesApiClient, SparesError};
use company_support_api::{
    CustomerReminded, Help, RepairPromised, SupportApi, SupportApiEvents, SupportApiServer,
    SupportError,
};
use company_warranty_api::{ModelRecalled, WarrantyApiClient, WarrantyError};
use lightbus::{Bus, CallError};
use tokio::sync::Mutex;

/// Serves, and listens, for as long as the bus lives.
///
/// # Errors
/// When the broker refuses it.
pub async fn start(bus: &Bus) -> anyhow::Result<()> {
    let desk = Arc::new(Desk::new(bus));

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
    Ok(())
}

struct Desk {
    spares: SparesApiClient,
    warranty: WarrantyApiClient,
    events: SupportApiEvents,
    /// Who waits for which part. A part without a list is on the shelf, for all we know.
    waiting: Mutex<HashMap<String, VecDeque<Customer>>>,
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
        let free = self.is_covered(&serial).await?;
        let customer = Customer {
            name: customer,
            serial,
            free,
        };

        // Spares told us when the last one went: no need to ask.
        if let Some(list) = self.waiting.lock().await.get_mut(&part) {
            list.push_back(customer);
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

    async fn remind(&self, customer: String, serial: String) -> Result<(), SupportError> {
        if !self.is_covered(&serial).await? {
            return Ok(());
        }
        // Whoever prints the letters listens to this.
        let reminded = CustomerReminded { customer, serial };
        let published = self.events.customer_reminded().publish(reminded);
        published.await.map_err(call_again)
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

    async fn is_covered(&self, serial: &str) -> Result<bool, SupportError> {
        let coverage = self
            .warranty
            .coverage(serial)
            .asking(format!("warranty.coverage({serial})"))
            .await;
        match coverage {
            Ok(_) => Ok(true),
            Err(CallError::Domain(WarrantyError::NotCovered { .. })) => Ok(false),
            Err(other) => Err(call_again(other)),
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
            .entry(ran_out.part.clone())
            .or_default();
        heard(format!("starts a waiting list for {}s", ran_out.part));
    }

    /// Nobody leaves the list before their part is in the post: if spares cannot be reached, this is tried again.
    async fn serve_the_list(self: Arc<Self>, arrived: PartArrived) -> Result<(), SupportError> {
        let PartArrived { part, count } = arrived;
        let mut lists = self.waiting.lock().await;
        let list = lists.entry(part.clone()).or_default();
        let served = list.len().min(count as usize);
        let names: Vec<_> = list
            .iter()
            .take(served)
            .map(|customer| customer.name.as_str())
            .collect();
        heard(format!("has good news for {}", names.join(" and ")));
        for _ in 0..served {
            if let Some(customer) = list.front() {
                self.send(&part, customer).await?;
                list.pop_front();
            }
        }
        if list.is_empty() {
            lists.remove(&part);
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
