//! `lightbus dev` as its user meets it.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// Ends the program whatever becomes of the test.
struct Dev(Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dev(listen: &str) -> Dev {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightbus"));
    let command = command.args(["dev", "--listen", listen]);
    Dev(command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap())
}

fn first_line(dev: &mut Dev) -> String {
    let mut line = String::new();
    BufReader::new(dev.0.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    line.trim().to_owned()
}

#[tokio::test]
async fn an_app_connects_to_the_url_it_prints() {
    let mut running = dev("127.0.0.1:0");
    let url = first_line(&mut running);
    let bus = lightbus::Bus::builder("dev-app")
        .url(url)
        .connect()
        .await
        .unwrap();
    bus.close().await;
}

#[test]
fn a_port_in_use_is_explained() {
    let mut running = dev("127.0.0.1:0");
    let url = first_line(&mut running);
    let address = url
        .split('@')
        .nth(1)
        .unwrap()
        .trim_end_matches("/%2f")
        .to_owned();
    let mut second = dev(&address);
    assert!(!second.0.wait().unwrap().success());
    let mut error = String::new();
    second
        .0
        .stderr
        .as_mut()
        .unwrap()
        .read_to_string(&mut error)
        .unwrap();
    assert!(
        error.contains("cannot start") && error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
}
