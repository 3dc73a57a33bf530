//! The script of the day: who comes, and what they want.
//!
//! Each scene ends when everybody who should hear of it has. All the rest, who calls whom and what they answer, is
//! for the apps to decide.

use anyhow::ensure;
use company_sales_api::{OrderError, SalesApiClient};
use company_spares_api::SparesApiClient;
use company_support_api::SupportApiClient;
use lightbus::{Bus, CallError};

use crate::stage::Stage;

const SOLD: &str = "sales.machine_sold";
const RAN_OUT: &str = "spares.part_ran_out";
const ARRIVED: &str = "spares.part_arrived";
const PROMISED: &str = "support.repair_promised";
const RECALLED: &str = "warranty.model_recalled";

pub(crate) async fn play(street: &Bus, stage: &mut Stage, place: &str) -> anyhow::Result<()> {
    let sales = SalesApiClient::new(street);
    let spares = SparesApiClient::new(street);
    let support = SupportApiClient::new(street);
    stage.announce("A day at Brew & Daughters, makers of coffee machines")?;

    stage
        .scene("08:30", &format!("Four programs start, {place}."))
        .await?;
    stage
        .until(&[
            ("sales", "ready"),
            ("spares", "ready"),
            ("support", "ready"),
            ("warranty", "ready"),
        ])
        .await?;

    stage.scene("09:05", "Ada buys a new machine.").await?;
    stage
        .visit(
            "Ada",
            "sales.order(Aurora, new)",
            sales.order("Ada", "Aurora", false),
        )
        .await?;
    stage.until(&[("spares", SOLD), ("warranty", SOLD)]).await?;

    stage.scene("09:20", "Grace buys one, too.").await?;
    stage
        .visit(
            "Grace",
            "sales.order(Aurora, new)",
            sales.order("Grace", "Aurora", false),
        )
        .await?;
    stage.until(&[("spares", SOLD), ("warranty", SOLD)]).await?;

    stage
        .scene(
            "09:40",
            "Linus buys a refurbished one. Warranty wants to hear of new ones only.",
        )
        .await?;
    stage
        .visit(
            "Linus",
            "sales.order(Aurora, refurbished)",
            sales.order("Linus", "Aurora", true),
        )
        .await?;
    stage.until(&[("spares", SOLD)]).await?;

    stage
        .scene("10:30", "Ada's pump is broken. There is one left.")
        .await?;
    stage
        .visit(
            "Ada",
            "support.help(A-1001, pump)",
            support.help("Ada", "A-1001", "pump"),
        )
        .await?;
    stage
        .until(&[
            ("sales", RAN_OUT),
            ("support", RAN_OUT),
            ("warranty", PROMISED),
        ])
        .await?;

    stage
        .scene(
            "11:15",
            "Linus needs a gasket. He has no warranty: a typed error, no failure.",
        )
        .await?;
    stage
        .visit(
            "Linus",
            "support.help(R-1003, gasket)",
            support.help("Linus", "R-1003", "gasket"),
        )
        .await?;
    stage.until(&[]).await?;

    stage
        .scene(
            "13:10",
            "Grace's pump is broken, too. Support knows, unasked, that none is left.",
        )
        .await?;
    stage
        .visit(
            "Grace",
            "support.help(A-1002, pump)",
            support.help("Grace", "A-1002", "pump"),
        )
        .await?;
    stage.until(&[]).await?;

    stage
        .scene("15:00", "Pumps arrive. One event leads to the next.")
        .await?;
    stage
        .visit(
            "the supplier",
            "spares.deliver(pump, 10)",
            spares.deliver("pump", 10),
        )
        .await?;
    let recall = [("sales", RECALLED), ("support", RECALLED)];
    let news = [
        ("sales", ARRIVED),
        ("support", ARRIVED),
        ("warranty", PROMISED),
    ];
    stage
        .until(&[news.as_slice(), recall.as_slice()].concat())
        .await?;

    stage
        .scene(
            "16:45",
            "Edsger wants a new machine. Sales has heard enough.",
        )
        .await?;
    let refused = stage
        .visit(
            "Edsger",
            "sales.order(Aurora, new)",
            sales.order("Edsger", "Aurora", false),
        )
        .await;
    ensure!(
        matches!(refused, Err(CallError::Domain(OrderError::Recalled { .. }))),
        "Edsger got {refused:?}"
    );
    stage.until(&[]).await?;
    Ok(())
}
