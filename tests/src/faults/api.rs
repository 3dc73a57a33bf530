//! The API that the apps of every row talk by.

/// What the apps of a row say to each other.
#[lightbus::api(name = "faults")]
pub trait Faults {
    /// Answers `n`, after so many milliseconds.
    async fn echo(&self, n: u64, after_ms: u64) -> u64;

    /// The same, and may run more than once.
    #[rpc(idempotent)]
    async fn look(&self, n: u64, after_ms: u64) -> u64;

    /// Something happened.
    #[event]
    fn happened(n: u64, filler: String);
}

/// The tasks that the workers of a row do.
#[lightbus::api(name = "faults_tasks")]
pub trait FaultsTasks {
    /// Takes so many milliseconds.
    #[task]
    async fn work(&self, n: u64, takes_ms: u64);

    /// The first of a flow: the numbers that its members begin with.
    #[task]
    async fn split(&self, n: u64) -> Vec<u64>;

    /// One of a flow.
    #[task]
    async fn step(&self, n: u64, plus: u64) -> u64;

    /// The last of a flow: how many members there were.
    #[task]
    async fn finish(&self, n: u64, members: Vec<u64>) -> usize;
}

/// An API that no app serves.
#[lightbus::api(name = "faults_unserved")]
pub trait Unserved {
    /// Whatever it is, nobody does it.
    async fn anything(&self);
}

/// An API beside the other one, on the same channels.
#[lightbus::api(name = "faults_beside")]
pub trait Beside {
    /// Something went by.
    #[event]
    fn passed(n: u64);
}
