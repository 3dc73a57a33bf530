//! The values that the tests are about.

use company_sales_api::MachineSold;
use company_spares_api::Stock;
use company_support_api::{CustomerReminded, RepairPromised};
use company_warranty_api::{Coverage, ModelRecalled};

/// Ada buys a new Aurora.
pub(crate) fn ada_buys() -> MachineSold {
    MachineSold {
        refurbished: false,
        serial: "A-1001".to_owned(),
        model: "Aurora".to_owned(),
        customer: "Ada".to_owned(),
    }
}

/// What warranty says of it.
pub(crate) fn covered() -> Coverage {
    Coverage {
        owner: "Ada".to_owned(),
        years: 2,
    }
}

/// The letter that Ada gets one day.
pub(crate) fn ada_is_reminded() -> CustomerReminded {
    CustomerReminded {
        customer: "Ada".to_owned(),
        serial: "A-1001".to_owned(),
    }
}

pub(crate) fn pump() -> String {
    "pump".to_owned()
}

/// So many pumps are on the shelf.
pub(crate) fn pumps(left: u32) -> Stock {
    Stock { left, euros: 39 }
}

/// A new pump is promised for this machine.
pub(crate) fn promised(free: bool, serial: &str) -> RepairPromised {
    RepairPromised {
        free,
        serial: serial.to_owned(),
        part: pump(),
    }
}

/// Too many pumps break.
pub(crate) fn aurora_is_recalled() -> ModelRecalled {
    ModelRecalled {
        model: "Aurora".to_owned(),
        part: pump(),
    }
}
