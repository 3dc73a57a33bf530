//! The tests of the company's apps, as its team would write them. Each has a bus of its own, and tells the apps nothing of that.
//!
//! Read them in this order: they are the examples of the chapter "Testing your app".

mod both_ways;
mod dead_letters;
mod faults;
mod matching;
mod numbers;
mod one_app_alone;
mod settled;
mod several_apps;
mod stubs;
mod virtual_time;

use company_sales_api::MachineSold;
use company_warranty_api::Coverage;

/// Ada buys a new Aurora.
fn ada_buys() -> MachineSold {
    MachineSold {
        refurbished: false,
        serial: "A-1001".to_owned(),
        model: "Aurora".to_owned(),
        customer: "Ada".to_owned(),
    }
}

/// What warranty says of it.
fn covered() -> Coverage {
    Coverage {
        owner: "Ada".to_owned(),
        years: 2,
    }
}
