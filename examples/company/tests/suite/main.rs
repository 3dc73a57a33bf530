//! The tests of the company's apps, as its team would write them. Each has a bus of its own, and the apps know nothing of it.
//!
//! The chapter `docs/testing-your-app.md` explains them, in this order.

mod values;

mod both_ways;
mod dead_letters;
mod fates;
mod faults;
mod matching;
mod numbers;
mod on_rabbitmq;
mod one_app_alone;
mod order;
mod recording;
mod regressions;
mod settled;
mod several_apps;
mod stubs;
mod virtual_time;
mod wiring;

mod chapter;
mod failing;
