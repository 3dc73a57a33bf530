//! What lay in the dead letters once: as `DeadLetter::to_test` printed it, with the start of the program written in.

use company_warranty_api::WarrantyApiClient;

use crate::values::covered;

/// `support.remind` in `lb.task.support`: failed after 4 attempts.
///
/// - error: {"CallAgain":{"reason":"call warranty.coverage: nobody serves `warranty` on this broker and vhost. Is its app running, and connected to 127.0.0.1:38541 (vhost `/`, user `guest`)?"}}
/// - message: 01a22a18-d83f-790a-b408-ee9737d0baf8
/// - sent by: test
/// - failed first: 2026-11-30T01:36:41.13Z
/// - died: 2026-11-30T04:36:41.023Z
/// - on: vm
#[lightbus::test]
async fn support_remind_is_done(
    bus: lightbus::testing::TestBus,
) -> Result<(), Box<dyn std::error::Error>> {
    let app = bus.app("worker").await?;
    company_support::start(&app).await?;
    // This time, somebody answers.
    let warranty = WarrantyApiClient::new(&bus);
    bus.stub(warranty.coverage("A-1001"))
        .returns(covered())
        .await?;

    let body = r#"{
  "customer": "Ada",
  "serial": "A-1001"
}"#
    .parse()?;
    let message = lightbus::testing::Raw::task("support", "remind", body);
    bus.simulate(message.clone()).await?;
    bus.sent(message).handled_by(app.app()).await;
    Ok(())
}
