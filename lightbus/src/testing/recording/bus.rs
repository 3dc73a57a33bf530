//! What a test's bus does with recordings.

use std::collections::HashMap;
use std::path::Path;

use lightbus_runtime::__private::{reply, reply_plain};
use lightbus_runtime::__testing::{Kind, Raw, Sendable};
use lightbus_runtime::Error;
use serde_json::Value;

use super::{Answer, Recording, RecordingError, take::take};
use crate::testing::TestBus;

impl TestBus {
    /// What was sent over this bus up to now: see [`Recording`].
    pub fn recording(&self) -> Recording {
        self.look(|traffic, _| take(&traffic.seen))
    }

    /// The same, into a file: `bus.record("traffic.jsonl")?`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&self, path: impl AsRef<Path>) -> Result<(), RecordingError> {
        self.recording().save(path)
    }

    /// [Stubs](Self::stub) each call of a recording: the same arguments get the same answer, several of them one after the other, and the last one from then on. What was secret may be anything. A call that had no
    /// answer, or a secret one, is not stubbed: do that by [`stub`](Self::stub).
    ///
    /// A whole recording also stubs the program under test, if it was asked something: then both serve its API, and calls go to either. So give it the calls that the program *made*: `bus.stub_from(&recording.by("web"))`.
    ///
    /// ```
    /// # use lightbus::testing::{Recording, TestBus};
    /// # #[lightbus::api(name = "stock")]
    /// # pub trait StockApi { async fn in_stock(&self, part: String) -> Result<u32, String>; }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let recording = Recording::parse(concat!(
    ///     r#"{"format":"lightbus-recording","version":1}"#, "\n",
    ///     r#"{"at_ms":0,"by":"web","call":"stock.in_stock","content":{"part":"wheel"},"answered_by":"stock","answer":4}"#,
    /// ))?;
    /// let bus = TestBus::start().await?;
    /// bus.stub_from(&recording.by("web")).await?;
    /// assert_eq!(StockApiClient::new(&bus).in_stock("wheel").await?, 4);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When an API's queue cannot be set up; when nothing can be answered by it, since no call in it has an answer.
    pub async fn stub_from(&self, recording: &Recording) -> Result<(), Error> {
        let calls = recording.messages().iter().filter_map(|message| {
            let is_call = message.kind == Kind::Call;
            let content = message.content.as_ref().ok().filter(|_| is_call)?;
            let reply = match message.answer.as_ref().filter(|it| !it.is_secret())? {
                Answer::Value { value, .. } => reply_plain(value),
                Answer::Error { error, .. } => reply::<(), &Value>(Err(error)),
                Answer::Failed(_) => return None,
            };
            Some((message, content, reply))
        });
        let calls: Vec<_> = calls.collect();
        if calls.is_empty() {
            return Err(Error::Config(
                "the recording has no call with an answer that is known: was the right app chosen by `.by(..)`?".to_owned(),
            ));
        }
        let same = |message: &super::Recorded, content: &Value| {
            (
                message.api.clone(),
                message.name.clone(),
                content.to_string(),
            )
        };
        let mut left = HashMap::new();
        for (message, content, _) in &calls {
            *left.entry(same(message, content)).or_insert(0) += 1;
        }
        for (message, content, reply) in calls {
            let later = left.entry(same(message, content)).or_insert(1);
            *later -= 1;
            let times = (*later > 0).then_some(1);
            let raw = Raw::call(&message.api, &message.name, content.clone());
            let outline = raw.outline().map_err(Error::Config)?;
            self.stubs().replay(self, &outline, times, reply).await?;
        }
        Ok(())
    }
}
