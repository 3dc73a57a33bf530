/// `mail.send` in `lb.task.mail:slow`: failed after 1 attempt.
///
/// - error: nobody is called bob
/// - message: 0192f1b0-7e5c-7000-8000-00000000002a
/// - sent by: test
/// - failed first: 2025-12-01T00:00:00Z
/// - died: 2025-12-01T00:01:00Z
/// - on: worker-3
#[lightbus::test]
async fn mail_send_is_done(
    bus: lightbus::testing::TestBus,
) -> Result<(), Box<dyn std::error::Error>> {
    let app = bus.app("worker").await?;
    // Start the program under test here, on `app`: it works on the tasks of `mail`.

    // What was secret is not known. The letter may be dead because of it: put something like it here.
    let body = r#"{
  "password": "[secret]",
  "to": "bob"
}"#.parse()?;
    let message = lightbus::testing::Raw::task("mail", "send", body)
        .queue("slow");
    bus.simulate(message.clone()).await?;
    bus.sent(message).handled_by(app.app()).await;
    Ok(())
}
