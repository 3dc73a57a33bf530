//! What the runtime is told of tasks, and what a client's methods are.
#![deny(warnings, missing_docs)]

use std::convert::Infallible;
use std::time::Duration;

use lightbus::__private::{Backoff, Rate, TaskSpec};
use lightbus::{Bus, Call, Service, Task};

/// Who users are.
#[lightbus::api(name = "my_company.auth")]
pub trait AuthApi {
    /// A call.
    async fn count(&self) -> u64;

    /// A task with nothing said.
    #[task]
    async fn clean_up(&self, older_than: Option<u32>);

    /// A task with nearly everything said.
    #[task(
        retries = 5,
        backoff = "2s",
        timeout = "30s",
        queue = "slow",
        unique,
        expires = "1h",
        result_ttl = "7d",
        name = "resize"
    )]
    async fn resize_avatar(&self, name: String, picture: Vec<u8>) -> Result<u64, String>;

    /// A task with the rest.
    #[lightbus::task(backoff = "1s, 10s, 1m", rate = "10/m", concurrency = 3)]
    async fn send_mail(&self, to: String) -> bool {
        to.is_empty()
    }

    /// A task of the past.
    #[task(backoff = "10s fixed", retries = 0)]
    #[deprecated]
    async fn r#loop(&self, r#type: u8);
}

struct Auth;

impl AuthApi for Auth {
    async fn count(&self) -> u64 {
        1
    }

    async fn clean_up(&self, older_than: Option<u32>) {
        assert_ne!(older_than, Some(0));
    }

    async fn resize_avatar(&self, name: String, picture: Vec<u8>) -> Result<u64, String> {
        u64::try_from(picture.len()).map_err(|_| name)
    }

    async fn r#loop(&self, _type: u8) {}
}

/// What methods of a client give.
pub fn types(bus: &Bus) {
    let auth = AuthApiClient::new(bus);
    let _: Call<u64, Infallible> = auth.count();
    let _: Task<(), Infallible> = auth.clean_up(None);
    let _: Task<u64, String> = auth.resize_avatar("ada", b"picture");
    let _: Task<bool, Infallible> = auth.send_mail("ada");
}

fn spec(method: usize) -> Option<&'static TaskSpec> {
    <AuthApiServer<Auth> as Service>::METHODS[method].task
}

fn main() {
    assert!(spec(0).is_none());

    let plain = spec(1).unwrap();
    assert_eq!((plain.api, plain.task), ("my_company.auth", "clean_up"));
    assert_eq!(
        (plain.queue, plain.retries, plain.backoff),
        (None, None, None)
    );
    assert_eq!(
        (plain.timeout, plain.expires, plain.result_ttl),
        (None, None, None)
    );
    assert_eq!(
        (plain.unique, plain.rate, plain.concurrency),
        (false, None, None)
    );

    let full = spec(2).unwrap();
    assert_eq!(full.task, "resize");
    assert_eq!(
        (full.queue, full.retries, full.unique),
        (Some("slow"), Some(5), true)
    );
    assert_eq!(
        full.backoff,
        Some(Backoff::Exponential(Duration::from_secs(2)))
    );
    assert_eq!(full.timeout, Some(Duration::from_secs(30)));
    assert_eq!(full.expires, Some(Duration::from_secs(3600)));
    assert_eq!(full.result_ttl, Some(Duration::from_secs(7 * 24 * 3600)));

    let limited = spec(3).unwrap();
    let list: &[_] = &[1, 10, 60].map(Duration::from_secs);
    assert!(matches!(limited.backoff, Some(Backoff::List(found)) if found == list));
    let (count, per) = (10, Duration::from_secs(60));
    assert_eq!(limited.rate, Some(Rate { count, per }));
    assert_eq!(limited.concurrency, Some(3));

    let old = spec(4).unwrap();
    assert_eq!((old.task, old.retries), ("loop", Some(0)));
    assert_eq!(old.backoff, Some(Backoff::Fixed(Duration::from_secs(10))));
}
