//! Flows: tasks that follow one another, and what comes of them.

mod failing;
mod mistakes;
mod moving;
mod running;

use std::time::Duration;

use tokio::sync::mpsc;

const LONG: Duration = Duration::from_secs(30);

/// An API of its own name for each test: RabbitMQ keeps what an earlier run left in its queues.
macro_rules! maths {
    ($module:ident, $api:literal) => {
        #[allow(dead_code)]
        mod $module {
            use lightbus::{Context, FailedStep};
            use tokio::sync::mpsc;

            #[lightbus::api(name = $api)]
            pub(super) trait Api {
                #[task(retries = 0)]
                async fn double(&self, n: u64) -> Result<u64, Trouble>;
                /// Fails until it is told not to.
                #[task(retries = 1, backoff = "10ms")]
                async fn fragile(&self, n: u64) -> Result<u64, Trouble>;
                #[task]
                async fn numbers(&self, from: u64, to: u64) -> Vec<u64>;
                #[task(queue = "slow")]
                async fn sum(&self, numbers: Vec<u64>, note: String) -> String;
                #[task]
                async fn count(&self, lists: Vec<Vec<u64>>) -> Vec<usize>;
                #[task]
                async fn say(&self, text: String);
                #[task]
                async fn complain(&self, failed: FailedStep);
                #[task(unique)]
                async fn once(&self, n: u64) -> u64;
                #[task]
                async fn large(&self, bytes: u64) -> Vec<u8>;
                /// Takes part when it may.
                #[task]
                async fn wait(&self, n: u64) -> u64;
            }

            #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
            pub(super) enum Trouble {
                TooLarge { n: u64 },
            }

            impl std::fmt::Display for Trouble {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    write!(f, "{self:?}")
                }
            }

            #[derive(Clone)]
            pub(super) struct Worker {
                pub(super) said: mpsc::UnboundedSender<String>,
                pub(super) works: std::sync::Arc<std::sync::atomic::AtomicBool>,
                pub(super) may: std::sync::Arc<tokio::sync::Semaphore>,
            }

            impl Worker {
                pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
                    let (said, heard) = mpsc::unbounded_channel();
                    let worker = Self {
                        said,
                        works: Default::default(),
                        may: std::sync::Arc::new(tokio::sync::Semaphore::new(0)),
                    };
                    (worker, heard)
                }

                fn say(&self, text: String) {
                    let _ = self.said.send(text);
                }
            }

            impl Api for Worker {
                async fn double(&self, n: u64) -> Result<u64, Trouble> {
                    match n {
                        1000.. => Err(Trouble::TooLarge { n }),
                        _ => Ok(2 * n),
                    }
                }
                async fn fragile(&self, n: u64) -> Result<u64, Trouble> {
                    match self.works.load(std::sync::atomic::Ordering::SeqCst) {
                        true => Ok(n + 1),
                        false => Err(Trouble::TooLarge { n }),
                    }
                }
                async fn numbers(&self, from: u64, to: u64) -> Vec<u64> {
                    (from..to).collect()
                }
                async fn sum(&self, numbers: Vec<u64>, note: String) -> String {
                    let sum: u64 = numbers.iter().sum();
                    format!("{note}: {numbers:?} = {sum}")
                }
                async fn count(&self, lists: Vec<Vec<u64>>) -> Vec<usize> {
                    lists.iter().map(Vec::len).collect()
                }
                async fn say(&self, text: String) {
                    self.say(text);
                }
                async fn complain(&self, failed: FailedStep) {
                    self.say(failed.to_string());
                }
                async fn once(&self, n: u64) -> u64 {
                    n
                }
                async fn large(&self, bytes: u64) -> Vec<u8> {
                    vec![7; bytes as usize]
                }
                async fn wait(&self, n: u64) -> u64 {
                    let context = Context::current().expect("a context");
                    self.say(format!("waiting {n}"));
                    tokio::select! {
                        may = self.may.acquire() => may.expect("it is open").forget(),
                        () = context.cancelled() => {}
                    }
                    n
                }
            }
        }
    };
}
use maths;

/// The next text that a worker says.
async fn heard(heard: &mut mpsc::UnboundedReceiver<String>) -> anyhow::Result<String> {
    let next = tokio::time::timeout(LONG, heard.recv()).await?;
    next.ok_or_else(|| anyhow::anyhow!("the worker is gone"))
}
