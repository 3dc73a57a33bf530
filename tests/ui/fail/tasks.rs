//! What can be wrong about a task, all in one: each mistake is reported on its own token, and none leads to another.

type Result<T> = std::result::Result<T, String>;

#[lightbus::api(name = "auth")]
pub trait AuthApi {
    #[task]
    #[rpc]
    async fn task_and_call(&self);

    #[task]
    #[event]
    async fn task_and_event(&self);

    #[task]
    #[lightbus::task(retries = 5)]
    async fn twice(&self);

    #[task(retry = 5, unique = true, unique, timeout("1s"))]
    async fn keys(&self, user_id: u64) -> bool;

    #[task = "slow"]
    async fn name_value(&self);

    #[task(retries = "5", concurrency = 0)]
    async fn numbers(&self);

    #[task(retries = 1001, concurrency = -1)]
    async fn more_numbers(&self);

    #[task(timeout = 30, expires = "366d", result_ttl = "soon")]
    async fn times(&self);

    #[task(backoff = "2s slowly", timeout = "0s")]
    async fn backoff(&self);

    #[task(backoff = "1s, 10", rate = "10/d")]
    async fn backoff_of_many(&self);

    #[task(rate = "0/s")]
    async fn rate(&self);

    #[task(queue = "dead", name = "Dead")]
    async fn queue_of_dead_letters(&self);

    #[task(queue = "Slow")]
    async fn queue_ill_formed(&self);

    #[task(queue = "slow", rate = "10/s")]
    async fn queue_and_rate(&self);

    #[task(concurrency = 3, queue = "slow")]
    async fn queue_and_concurrency(&self);

    #[task]
    fn shape<T>(&mut self, path: &str) -> Result<T>;

    #[task]
    async fn without_self(#[key] number: u64) -> &'static str;

    #[task]
    async fn new(&self);

    #[task(name = "numbers")]
    async fn wire_name_of_another(&self);

    async fn twice(&self, number: u64);
}

#[lightbus::api(name = "auth.dead")]
pub trait DeadApi {
    #[task]
    async fn sound(&self);
}

struct Auth;

impl DeadApi for Auth {
    #[lightbus::task]
    async fn sound(&self) {}
}

pub async fn provide(bus: &lightbus::Bus) {
    let _ = bus.serve(DeadApiServer::new(Auth)).await;
}

pub async fn enqueue(bus: &lightbus::Bus) {
    let auth = AuthApiClient::new(bus);
    let _ = auth.task_and_call().enqueue().await;
    let _ = auth.task_and_event().enqueue().await;
    let _ = auth.keys(7).enqueue().await;
    let _ = auth.shape("/").enqueue().await;
    let _ = auth.without_self(7).enqueue().await;
    let _ = DeadApiClient::new(bus).sound().enqueue().await;
}

fn main() {}
