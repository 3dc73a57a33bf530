//! Settings of a bus: checked when they are given, with a reason for each default.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};

use crate::attempts::HoldTimes;
use crate::clock::{Clock, Manual};
use crate::grammar::check_name;
use crate::observer::Observed;
use crate::{Bus, Error, Retry};

const DEFAULT_URL: &str = "amqp://127.0.0.1:5672";
/// RabbitMQ 4 takes at most 16 MiB; headers and the frame need some of it.
const PAYLOAD_HARD_LIMIT: usize = 15 * 1024 * 1024;

/// What AMQP can express, 49 days; beyond it the arithmetic of instants would overflow.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_millis(u32::MAX as u64);

#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) app: String,
    pub(crate) uri: AMQPUri,
    pub(crate) connect_deadline: Duration,
    pub(crate) call_timeout: Duration,
    pub(crate) publish_timeout: Duration,
    pub(crate) concurrency: u16,
    pub(crate) payload_limit: usize,
    pub(crate) grace: Duration,
    pub(crate) schedule_grace: Duration,
    pub(crate) lazy: bool,
    pub(crate) clock: Clock,
    pub(crate) hold: HoldTimes,
    pub(crate) retry: Retry,
    pub(crate) api_retries: HashMap<String, Retry>,
    pub(crate) observed: Observed,
}

/// Settings of a [`Bus`]; made by [`Bus::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), lightbus_runtime::Error> {
/// use std::time::Duration;
/// let bus = lightbus_runtime::Bus::builder("auth-app")
///     .url("amqp://auth:secret@rabbit.internal:5672/shop")
///     .call_timeout(Duration::from_secs(2))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `.connect().await`"]
pub struct BusBuilder {
    app: String,
    url: Option<String>,
    vhost: Option<String>,
    config: Config,
}

impl fmt::Debug for BusBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL: it may hold a password.
        f.debug_struct("BusBuilder")
            .field("app", &self.app)
            .field("vhost", &self.vhost)
            .finish_non_exhaustive()
    }
}

impl BusBuilder {
    pub(crate) fn new(app: &str) -> Self {
        let config = Config {
            app: app.to_owned(),
            uri: AMQPUri::default(),
            connect_deadline: Duration::from_secs(10),
            call_timeout: Duration::from_secs(5),
            publish_timeout: Duration::from_secs(10),
            // Enough that a handler which waits for a database does not hold up the others.
            concurrency: 64,
            payload_limit: 1024 * 1024,
            grace: Duration::from_secs(20),
            schedule_grace: Duration::from_secs(600),
            lazy: false,
            clock: Clock::default(),
            hold: HoldTimes::default(),
            retry: Retry::default(),
            api_retries: HashMap::new(),
            observed: Observed::default(),
        };
        Self {
            app: app.to_owned(),
            url: None,
            vhost: None,
            config,
        }
    }

    pub(crate) fn clock(mut self, clock: &Arc<Manual>) -> Self {
        self.config.clock = Clock::manual(Arc::clone(clock));
        self
    }

    /// The broker: `amqp://user:password@host:port/vhost`. Default: the environment's `LIGHTBUS_URL`, else `amqp://127.0.0.1:5672`.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The virtual host, as it is (not URL-encoded). One vhost is one bus. Default: the URL's, else `/`.
    pub fn vhost(mut self, vhost: impl Into<String>) -> Self {
        self.vhost = Some(vhost.into());
        self
    }

    /// How long [`connect`](Self::connect) may take. Default: 10 s.
    pub fn connect_deadline(mut self, deadline: Duration) -> Self {
        self.config.connect_deadline = deadline.min(LONGEST_WAIT);
        self
    }

    /// How long a call may take that sets no timeout itself. Default: 5 s.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.config.call_timeout = timeout.min(LONGEST_WAIT);
        self
    }

    /// How long a publish waits for the broker's confirmation. Default: 10 s.
    pub fn publish_timeout(mut self, timeout: Duration) -> Self {
        self.config.publish_timeout = timeout.min(LONGEST_WAIT);
        self
    }

    /// For tests: when the message of a task that takes long moves to this process's own queue, how often it is delivered there anew, and
    /// how soon it goes back when the process is lost.
    #[doc(hidden)]
    pub fn hold_tasks(mut self, after: Duration, renew: Duration, back: Duration) -> Self {
        self.config.hold = HoldTimes { after, renew, back };
        self
    }

    pub(crate) fn observed(mut self, by: Observed) -> Self {
        self.config.observed = by;
        self
    }

    /// How many messages each served API and each listener handles at a time, unless it says so itself. Default: 64, at least 1.
    pub fn concurrency(mut self, concurrency: u16) -> Self {
        self.config.concurrency = concurrency.max(1);
        self
    }

    /// The largest payload, in bytes, that is sent or decoded. Default: 1 MiB, at most 15 MiB.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.config.payload_limit = bytes.min(PAYLOAD_HARD_LIMIT);
        self
    }

    /// How long handlers may go on when the bus is closed. Default: 20 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.config.grace = grace.min(LONGEST_WAIT);
        self
    }

    /// How long a schedule outlives the last process that has it in its code: then it goes from the bus, with its pause and its history. Long enough for a
    /// deployment, in which processes of two versions run side by side. Default: 10 min; at least 1 s.
    pub fn schedule_grace(mut self, grace: Duration) -> Self {
        self.config.schedule_grace = grace.clamp(Duration::from_secs(1), LONGEST_WAIT);
        self
    }

    /// Lets the app start before its broker: [`connect`](Self::connect), [`Bus::serve`] and listening return at once, and everything begins when the broker is
    /// there. What would have been their errors is in [`Bus::health`] and in the log. Calls and publishes wait for the connection, until their deadline.
    pub fn lazy(mut self) -> Self {
        self.config.lazy = true;
        self
    }

    /// What becomes of an event whose handler fails, for every listener that has no policy itself. Default: [`Retry::default`], 5 attempts.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.config.retry = retry;
        self
    }

    /// Like [`retry`](Self::retry), for the listeners of one API's events: `.retry_api("auth", Retry::never())`.
    pub fn retry_api(mut self, api: impl Into<String>, retry: Retry) -> Self {
        self.config.api_retries.insert(api.into(), retry);
        self
    }

    /// Connects to the broker.
    ///
    /// # Errors
    /// [`Error::Config`] for an illegal name or URL, [`Error::Connect`] when the broker cannot be reached within the deadline.
    pub async fn connect(self) -> Result<Bus, Error> {
        Bus::start(self.build()?).await
    }

    fn build(self) -> Result<Config, Error> {
        check_name("app", &self.app)?;
        let url = self.url.or_else(|| {
            std::env::var("LIGHTBUS_URL")
                .ok()
                .filter(|url| !url.is_empty())
        });
        let mut uri = parse(url.as_deref().unwrap_or(DEFAULT_URL))?;
        if let Some(vhost) = self.vhost {
            uri.vhost = vhost;
        }
        Ok(Config { uri, ..self.config })
    }
}

fn parse(url: &str) -> Result<AMQPUri, Error> {
    let shown = redact(url);
    let mut uri: AMQPUri = url.parse().map_err(|reason: String| {
        Error::Config(format!(
            "the broker URL `{shown}` is not legal: {}. It looks like `amqp://user:password@host:5672/vhost`, special characters URL-encoded",
            reason.replace(url, &shown)
        ))
    })?;
    if uri.scheme == AMQPScheme::AMQPS {
        return Err(Error::Config(format!(
            "the broker URL `{shown}` asks for TLS, which this version does not speak yet: use `amqp://` within a private network or through a tunnel"
        )));
    }
    // `amqp://host/` names the empty vhost by the letter; nobody means that.
    if uri.vhost.is_empty() {
        "/".clone_into(&mut uri.vhost);
    }
    Ok(uri)
}

/// The URL without its password.
fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let Some((credentials, host)) = rest.rsplit_once('@') else {
        return url.to_owned();
    };
    let user = credentials.split(':').next().unwrap_or_default();
    format!("{scheme}://{user}:***@{host}")
}

impl Config {
    pub(crate) fn retry_of(&self, api: &str) -> Retry {
        self.api_retries.get(api).unwrap_or(&self.retry).clone()
    }

    /// The broker, for people: never the password.
    pub(crate) fn broker(&self) -> String {
        let authority = &self.uri.authority;
        format!(
            "{}:{} (vhost `{}`, user `{}`)",
            authority.host, authority.port, self.uri.vhost, authority.userinfo.username
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn build(url: &str) -> Result<Config, String> {
        BusBuilder::new("shop")
            .url(url)
            .build()
            .map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_rabbitmqs() {
        let config = build("amqp://broker").unwrap();
        assert_eq!(config.broker(), "broker:5672 (vhost `/`, user `guest`)");
        assert_eq!(build("amqp://broker/").unwrap().uri.vhost, "/");
        assert_eq!(build("amqp://broker/shop").unwrap().uri.vhost, "shop");
        assert_eq!(
            BusBuilder::new("shop")
                .url("amqp://b/x")
                .vhost("y")
                .build()
                .unwrap()
                .uri
                .vhost,
            "y"
        );
    }

    #[test]
    fn no_error_and_no_debug_shows_the_password() {
        for url in [
            "http://u:hunter2@host/x",
            "amqp://u:hunter2@host:port/x",
            "amqps://u:hunter2@host",
        ] {
            let text = build(url).err().unwrap();
            assert!(
                text.contains("u:***@host") && !text.contains("hunter2"),
                "{text}"
            );
        }
        let builder = BusBuilder::new("shop").url("amqp://u:hunter2@host");
        assert!(!format!("{builder:?}").contains("hunter2"));
    }

    #[test]
    fn an_app_needs_a_legal_name() {
        let error = BusBuilder::new("My App").build().err().unwrap();
        assert!(
            error
                .to_string()
                .starts_with("`My App` is not a legal app name"),
            "{error}"
        );
    }
}
