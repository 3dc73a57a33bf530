/// `mail.invited` in `lb.q.mailer.send-invitation`: failed after 1 attempt.
///
/// - error: cannot be sent
/// - caused by: no route
/// to the host
/// - message: 0192f1b0-7e5c-7000-8000-00000000002a
/// - sent by: host
/// - failed first: 2025-12-01T00:00:00Z
/// - died: 2025-12-01T00:01:00Z
/// - on: worker-3
#[lightbus::test]
async fn mailer_send_invitation_handles_invited(
    bus: lightbus::testing::TestBus,
) -> Result<(), Box<dyn std::error::Error>> {
    let app = bus.app("mailer").await?;
    super::mailer(&app).await?;

    let body = r###"{
  "age": null,
  "text": "\"#so\u202e\r\n\\ it is\"## — 🦀",
  "username": "ada.l"
}"###.parse()?;
    let message = lightbus::testing::Raw::event("mail", "invited", body)
        .key("ada.l")
        .header("lang", "en");
    bus.simulate(message.clone()).await?;
    bus.sent(message).heard_by(app.app(), "send-invitation").await;
    Ok(())
}
