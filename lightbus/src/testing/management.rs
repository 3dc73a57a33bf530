//! The management API of a RabbitMQ, by which virtual hosts come and go.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ureq::http::{Response, StatusCode};
use ureq::{Agent, Body};

/// So long a request may take; a virtual host is made in a fraction of a second, unless many are.
const PATIENCE: Duration = Duration::from_secs(30);
const RIGHTS: &str = r#"{"configure":".*","write":".*","read":".*"}"#;

/// The API, as one user.
#[derive(Clone)]
pub(super) struct Management {
    agent: Agent,
    /// Without a slash at its end.
    url: String,
    user: String,
    authorization: String,
}

impl fmt::Debug for Management {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Management")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

impl Management {
    pub(super) fn new(url: &str, user: &str, password: &str) -> Self {
        // What goes wrong is told from the status, in words that help. A proxy of the developer's knows no RabbitMQ of tests.
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .proxy(None);
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Self {
            agent: config.build().into(),
            url: url.trim_end_matches('/').to_owned(),
            user: user.to_owned(),
            authorization: format!("Basic {credentials}"),
        }
    }

    /// Makes a virtual host in which the user may do everything.
    pub(super) fn create(&self, vhost: &str) -> Result<(), String> {
        self.put(&format!("vhosts/{vhost}"), "{}")?;
        self.put(
            &format!("permissions/{vhost}/{}", escape(&self.user)),
            RIGHTS,
        )
    }

    /// Removes a virtual host, with all that is in it. It is no error when there is none.
    pub(super) fn delete(&self, vhost: &str) -> Result<(), String> {
        let request = self.agent.delete(self.path(&format!("vhosts/{vhost}")));
        let answer = request.header("authorization", &self.authorization).call();
        match self.checked(answer) {
            Err(Refusal { status, .. }) if status == Some(StatusCode::NOT_FOUND) => Ok(()),
            answer => answer.map(drop).map_err(|refusal| refusal.text),
        }
    }

    /// The names of all virtual hosts.
    pub(super) fn vhosts(&self) -> Result<Vec<String>, String> {
        let request = self.agent.get(self.path("vhosts?columns=name"));
        let answer = request.header("authorization", &self.authorization).call();
        let text = self.checked(answer).map_err(|refusal| refusal.text)?;
        let list: Vec<serde_json::Value> =
            serde_json::from_str(&text).map_err(|error| self.stranger(&error.to_string()))?;
        let name = |vhost: &serde_json::Value| Some(vhost.get("name")?.as_str()?.to_owned());
        Ok(list.iter().filter_map(name).collect())
    }

    fn put(&self, path: &str, body: &str) -> Result<(), String> {
        let request = self.agent.put(self.path(path));
        let request = request.header("authorization", &self.authorization);
        let answer = request.content_type("application/json").send(body);
        let answer = self.checked(answer).map_err(|refusal| refusal.text);
        answer.map(drop)
    }

    fn path(&self, path: &str) -> String {
        format!("{}/api/{path}", self.url)
    }

    /// The text of an answer that says yes.
    fn checked(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<String, Refusal> {
        let mut answer = answer.map_err(|error| Refusal {
            status: None,
            text: self.silence(&error),
        })?;
        let status = answer.status();
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        if status.is_success() {
            return Ok(text);
        }
        let (url, user) = (&self.url, &self.user);
        let text = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
                "the management API of RabbitMQ on {url} refuses the user {user} ({status}): wrong name or password in LIGHTBUS_TEST_URL, or a user who may not manage: `rabbitmqctl set_user_tags {user} administrator`"
            ),
            _ => self.stranger(&format!("{status} {}", text.trim())),
        };
        Err(Refusal {
            status: Some(status),
            text,
        })
    }

    fn silence(&self, error: &ureq::Error) -> String {
        format!(
            "the management API of RabbitMQ does not answer on {}: {error}; each test gets a virtual host of its own by it: `rabbitmq-plugins enable rabbitmq_management` starts it, and LIGHTBUS_TEST_MANAGEMENT_URL says where it is",
            self.url
        )
    }

    fn stranger(&self, answer: &str) -> String {
        format!(
            "what answers on {} is no management API of a RabbitMQ, or one in trouble: {answer}; LIGHTBUS_TEST_MANAGEMENT_URL says where it is",
            self.url
        )
    }
}

/// An answer that says no, in words.
struct Refusal {
    status: Option<StatusCode>,
    text: String,
}

/// A name as a part of a path.
fn escape(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    name.bytes()
        .fold(String::new(), |text, byte| match plain(&byte) {
            true => text + &char::from(byte).to_string(),
            false => text + &format!("%{byte:02X}"),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers one request so.
    fn answering(
        status: &'static str,
        body: &'static str,
    ) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (url, served)
    }

    #[test]
    fn names_and_passwords_go_as_they_are() {
        let (url, served) = answering("200 OK", r#"[{"name":"/"},{"name":"lbtest-1-2-3"}]"#);
        let names = Management::new(&url, "guest", "gu:est").vhosts();
        assert_eq!(names.unwrap(), ["/", "lbtest-1-2-3"]);
        let request = served.join().unwrap();
        assert!(
            request.starts_with("GET /api/vhosts?columns=name HTTP/1.1"),
            "{request}"
        );
        assert!(
            request.contains("authorization: Basic Z3Vlc3Q6Z3U6ZXN0"),
            "{request}"
        );
        assert_eq!(escape("a b/ü"), "a%20b%2F%C3%BC");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_remedy() {
        let (url, served) = answering("401 Unauthorized", "");
        let refused = Management::new(&url, "ada", "secret")
            .create("x")
            .unwrap_err();
        assert!(
            refused.contains("refuses the user ada (401 Unauthorized)"),
            "{refused}"
        );
        assert!(
            refused.contains("rabbitmqctl set_user_tags ada administrator"),
            "{refused}"
        );
        served.join().unwrap();
        let (url, served) = answering("404 Not Found", "no such page");
        let other = Management::new(&url, "ada", "secret")
            .create("x")
            .unwrap_err();
        assert!(other.contains("404 Not Found no such page"), "{other}");
        served.join().unwrap();
        // Whoever asked for one to go that is not there has what they want.
        let (url, served) = answering("404 Not Found", "");
        assert_eq!(Management::new(&url, "ada", "secret").delete("x"), Ok(()));
        served.join().unwrap();
        let gone = Management::new(&url, "ada", "secret")
            .create("x")
            .unwrap_err();
        assert!(
            gone.contains("rabbitmq-plugins enable rabbitmq_management"),
            "{gone}"
        );
    }
}
