//! A virtual host of a RabbitMQ for a test of its own, seen through a relay.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use amq_protocol::uri::AMQPUri;
use lightbus_broker::Relay;

use super::management::Management;

const URL: &str = "LIGHTBUS_TEST_URL";
const MANAGEMENT_URL: &str = "LIGHTBUS_TEST_MANAGEMENT_URL";
const MANAGEMENT_PORT: u16 = 15672;
/// How the names of virtual hosts begin that are tests'.
const PREFIX: &str = "lbtest-";
/// Older ones are of test processes that were killed.
const STALE: Duration = Duration::from_secs(86_400);
/// No test was made before: November 2023.
const EARLIEST: u64 = 1_700_000_000;

/// The RabbitMQ on which tests are to run, if the environment names one.
pub(super) fn url() -> Option<String> {
    variable(URL)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The place of one test. What is dropped first ends first.
#[derive(Debug)]
pub(super) struct RabbitMq {
    pub(super) relay: Relay,
    _vhost: VHost,
}

impl RabbitMq {
    pub(super) async fn start(url: &str) -> Result<Self, String> {
        let (server, management) = management(url)?;
        let creating = tokio::task::spawn_blocking(move || {
            let vhost = VHost::create(management)?;
            vhost.sweep();
            Ok::<_, String>(vhost)
        });
        let vhost = creating.await.map_err(|error| error.to_string())??;
        let relay = Relay::start(&format!("{server}/{}", vhost.name)).await;
        Ok(Self {
            relay: relay.map_err(|error| format!("{error} ({URL})"))?,
            _vhost: vhost,
        })
    }
}

/// The URL up to the virtual host, and the management API of the same server.
fn management(url: &str) -> Result<(String, Management), String> {
    let uri: AMQPUri = url.parse().map_err(|why| {
        format!("{URL} is no AMQP URL: {why}; it looks like amqp://guest:guest@localhost:5672")
    })?;
    let (scheme, rest) = url.split_once("://").unwrap_or(("amqp", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let default = format!("http://{}:{MANAGEMENT_PORT}", uri.authority.host);
    let api = variable(MANAGEMENT_URL).unwrap_or(default);
    let login = uri.authority.userinfo;
    let management = Management::new(&api, &login.username, &login.password);
    Ok((format!("{scheme}://{authority}"), management))
}

/// A virtual host that is gone when this is dropped.
#[derive(Debug)]
struct VHost {
    name: String,
    management: Management,
}

impl VHost {
    fn create(management: Management) -> Result<Self, String> {
        // Short: a long name leaves the holder of a unique task no room in the broker's answer.
        let random = RandomState::new().hash_one(std::process::id()) >> 32;
        let name = format!("{PREFIX}{:x}-{random:08x}", seconds());
        if let Err(why) = management.create(&name) {
            // It may be half made.
            let _ = management.delete(&name);
            return Err(why);
        }
        Ok(Self { name, management })
    }

    /// Removes what killed test processes have left; once in the life of a process.
    fn sweep(&self) {
        static SWEPT: AtomicBool = AtomicBool::new(false);
        if SWEPT.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = seconds();
        let names = self.management.vhosts().unwrap_or_default();
        for name in names.iter().filter(|name| is_stale(name, now)) {
            if let Err(why) = self.management.delete(name) {
                eprintln!("the virtual host {name}, left by a test, stays: {why}");
            }
        }
    }
}

impl Drop for VHost {
    fn drop(&mut self) {
        if let Err(why) = self.management.delete(&self.name) {
            eprintln!("the virtual host {} of a test stays: {why}", self.name);
        }
    }
}

fn seconds() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

/// Whether a name is that of a test's virtual host which was made long ago.
fn is_stale(name: &str, now: u64) -> bool {
    let parts = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('-'));
    let Some((made, random)) = parts else {
        return false;
    };
    let is_number = |text: &str| text.len() == 8 && text.bytes().all(|it| it.is_ascii_hexdigit());
    let made = u64::from_str_radix(made, 16)
        .ok()
        .filter(|_| is_number(made) && is_number(random));
    made.is_some_and(|made| made >= EARLIEST && made + STALE.as_secs() < now)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_of_a_test_and_old_is_stale() {
        let now = 0x6789_0000;
        let of = |made: u64| format!("{PREFIX}{made:08x}-00ff00ff");
        assert!(is_stale(&of(now - 86_401), now));
        assert!(!is_stale(&of(now - 86_399), now));
        for other in ["/", "lbtest-", "lbtest-17", "lbtest-zz-1", "mine-1-1-1"] {
            assert!(!is_stale(other, now), "{other}");
        }
    }

    #[test]
    fn the_management_api_is_on_the_same_server() {
        let (server, _) =
            management("amqp://ada:x%2Fy@rabbit.example:5673/a-vhost?heartbeat=5").unwrap();
        assert_eq!(server, "amqp://ada:x%2Fy@rabbit.example:5673");
        let error = management("localhost").unwrap_err();
        assert!(
            error.starts_with("LIGHTBUS_TEST_URL is no AMQP URL"),
            "{error}"
        );
    }
}
