//! How connections can be refused.

/// How [`Faults::refuse_connections`](crate::Faults::refuse_connections) meets connections that come.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use lightbus_broker::{Broker, Refusal};
///
/// let broker = Broker::start().await?;
/// broker.faults().refuse_connections(Refusal::Silent);
/// assert_eq!(broker.snapshot().faults.refusing, Some(Refusal::Silent));
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Their sockets are closed at once.
    Closed,
    /// Their sockets are accepted, and nothing is ever read or answered.
    Silent,
    /// Every login is refused, whatever the password: 403, ACCESS_REFUSED.
    Login,
}
