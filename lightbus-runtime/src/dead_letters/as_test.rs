//! A dead letter as a test: written to be pasted, and to fail until its cause is gone.

use std::fmt::Write as _;
use std::time::SystemTime;

use serde_json::Value;

use super::DeadLetter;
use crate::manifest;
use crate::topology::{self, TaskPlace};

/// What is sent once more, and who is to handle it.
struct Case<'a> {
    api: String,
    name: &'a str,
    /// As which the program runs.
    app: &'a str,
    /// Of an event; a task has none.
    listener: Option<&'a str>,
}

impl DeadLetter {
    /// A test in Rust that sends the message once more, and fails until it is handled: with the letter's story above it, and the place at which the program under test is to be started. It compiles as it is, in a crate that has
    /// lightbus with the feature `testing` among its `dev-dependencies`.
    ///
    /// The body is written as JSON. Arguments that are `#[lightbus(secret)]`, of an API of which this process has a client, a publisher or a server, are left out: `"[secret]"` stands in their place.
    ///
    /// ```no_run
    /// # async fn example(bus: &lightbus_runtime::Bus) -> Result<(), lightbus_runtime::Error> {
    /// for letter in bus.dead_letters("send-welcome-email")?.list(1).await? {
    ///     println!("{}", letter.to_test());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn to_test(&self) -> String {
        let case = self.case();
        let test = case.as_ref().and_then(|case| self.test_of(case));
        let test = test.unwrap_or_else(|| CANNOT_BE_SENT.to_owned());
        format!("{}{test}", self.story(case.as_ref()))
    }

    fn case(&self) -> Option<Case<'_>> {
        if let Some(task) = &self.task {
            let api = topology::api_of_task_queue(&self.queue)?;
            return Some(Case {
                api,
                name: task,
                app: "worker",
                listener: None,
            });
        }
        let api = self.exchange.strip_prefix("lb.ev.")?;
        let rest = self.routing_key.strip_prefix(api)?.strip_prefix('.')?;
        let (app, listener) = topology::listener_of(&self.queue)?;
        Some(Case {
            api: api.to_owned(),
            name: rest.split('.').next()?,
            app,
            listener: Some(listener),
        })
    }

    /// What is known, as the test's docs.
    fn story(&self, case: Option<&Case<'_>>) -> String {
        let subject = case.map_or_else(
            || self.routing_key.clone(),
            |case| format!("{}.{}", case.api, case.name),
        );
        let attempts = match self.attempts {
            None => String::new(),
            Some(1) => " after 1 attempt".to_owned(),
            Some(attempts) => format!(" after {attempts} attempts"),
        };
        let mut lines = vec![
            format!(
                "`{subject}` in `{}`: {}{attempts}.",
                self.queue, self.reason
            ),
            String::new(),
        ];
        let mut tell = |what: &str, value: Option<String>| {
            lines.extend(value.map(|value| format!("- {what}: {value}")));
        };
        tell("error", self.error.clone());
        for cause in &self.causes {
            tell("caused by", Some(cause.clone()));
        }
        tell("message", Some(self.id.clone()).filter(|id| !id.is_empty()));
        tell("sent by", self.from.clone());
        tell("failed first", self.first_failed.and_then(utc));
        tell("died", self.died.and_then(utc));
        tell("on", self.host.clone());
        let replayed = (self.replayed > 0).then(|| self.replayed.to_string());
        tell("replayed before", replayed);
        let docs = lines
            .iter()
            .flat_map(|line| line.lines().chain(line.is_empty().then_some("")));
        docs.fold(String::new(), |docs, line| match line {
            "" => docs + "///\n",
            line => docs + "/// " + &printable(line.trim()) + "\n",
        })
    }

    fn test_of(&self, case: &Case<'_>) -> Option<String> {
        let mut body = self.json()?;
        manifest::redact(&mut body, &case.api, case.name);
        let name = test_name(case);
        let Case { app, .. } = case;
        let (start, handled) = match case.listener {
            Some(listener) => (
                format!("it listens as `{listener}`"),
                format!("heard_by(app.app(), {listener:?})"),
            ),
            None => (
                format!("it works on the tasks of `{}`", case.api),
                "handled_by(app.app())".to_owned(),
            ),
        };
        let sent = self.raw(case);
        let remark = match manifest::secrets(&case.api, case.name).is_empty() {
            true => "",
            false => {
                "// What was secret is not known. The letter may be dead because of it: put something like it here.\n    "
            }
        };
        Some(format!(
            "#[lightbus::test]
async fn {name}(
    bus: lightbus::testing::TestBus,
) -> Result<(), Box<dyn std::error::Error>> {{
    let app = bus.app({app:?}).await?;
    // Start the program under test here, on `app`: {start}.

    {remark}let body = {}.parse()?;
    let message = {sent};
    bus.simulate(message.clone()).await?;
    bus.sent(message).{handled}.await;
    Ok(())
}}
",
            literal(&body)
        ))
    }

    fn raw(&self, case: &Case<'_>) -> String {
        let Case { api, name, .. } = case;
        let kind = if case.listener.is_some() {
            "event"
        } else {
            "task"
        };
        let mut raw = format!("lightbus::testing::Raw::{kind}({api:?}, {name:?}, body)");
        let mut add = |call: &str, arguments: &[&str]| {
            let arguments: Vec<_> = arguments.iter().map(|it| format!("{it:?}")).collect();
            // A String as writer cannot fail.
            let _ = write!(raw, "\n        .{call}({})", arguments.join(", "));
        };
        if case.listener.is_some() {
            let keys = topology::event_keys(&self.routing_key, api);
            keys.iter().for_each(|key| add("key", &[key]));
        } else if let Some(TaskPlace { queue, limited, .. }) =
            topology::task_place(&self.queue, api)
        {
            if let Some(queue) = queue {
                add("queue", &[&queue]);
            }
            if limited {
                add("limited", &[]);
            }
        }
        for (name, value) in &self.headers {
            add("header", &[name, value]);
        }
        raw
    }
}

const CANNOT_BE_SENT: &str = "#[lightbus::test]
async fn a_dead_letter_is_handled(
    _: lightbus::testing::TestBus,
) -> Result<(), Box<dyn std::error::Error>> {
    Err(\"its body is neither MessagePack nor JSON, or it is no event and no task: it cannot be sent by its names\".into())
}
";

fn test_name(case: &Case<'_>) -> String {
    let name = match case.listener {
        Some(listener) => format!("{}_{listener}_handles_{}", case.app, case.name),
        None => format!("{}_{}_is_done", case.api, case.name),
    };
    let word = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter,
        false => '_',
    };
    name.chars().map(word).collect()
}

/// JSON as a raw string.
fn literal(body: &Value) -> String {
    let json = printable(&format!("{body:#}"));
    let mut hashes = "#".to_owned();
    while json.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("r{hashes}\"{json}\"{hashes}")
}

/// Without what rustc allows in no comment and in no text: signs that turn the direction of writing, and returns. In JSON they stand in strings alone, where this is how they are escaped.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\r' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(printable, "\\u{:04x}", u32::from(letter));
            }
            letter => printable.push(letter),
        }
    }
    printable
}

fn utc(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(time.to_string())
}
