//! The API that `lightbus` is measured with, as a user would write it.

/// Work that costs nothing, so that only its way there and back is measured.
#[lightbus::api(name = "bench")]
pub trait BenchApi {
    /// Sends `body` back.
    async fn echo(&self, id: u64, body: String) -> String;

    /// Something happened.
    #[event]
    fn happened(id: u64, body: String);
}
