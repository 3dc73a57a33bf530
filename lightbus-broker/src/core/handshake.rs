//! Negotiation: protocol header, who the client is, the limits both keep, the virtual host.

use super::{
    Core, Rights,
    arguments::text,
    connection::{Client, Phase},
    errors::{Fault, Outcome, channel_error, command_invalid, login_refused, not_allowed},
    event::{CloseReason, EventKind},
    ids::{At, ConnId},
    tables,
};
use crate::frames::PROTOCOL;
use amq_protocol::{
    protocol::{
        AMQPClass,
        connection::{self, AMQPMethod},
    },
    types::{AMQPValue, FieldTable},
};
use std::sync::Arc;

/// What the broker can do beyond the specification.
const CAPABILITIES: [&str; 9] = [
    "publisher_confirms",
    "exchange_exchange_bindings",
    "basic.nack",
    "consumer_cancel_notify",
    "connection.blocked",
    "consumer_priorities",
    "authentication_failure_close",
    "per_consumer_qos",
    "direct_reply_to",
];

/// The header of 0-9, which is served as 0-9-1.
const PROTOCOL_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

/// `connection.open`.
const OPEN: (u16, u16) = (10, 40);

/// The least frame size a client may ask for.
pub(super) const LEAST_FRAME: u32 = 4096;

impl Core {
    /// The first eight bytes of a connection.
    pub(crate) fn greet(&mut self, conn: ConnId, header: [u8; 8]) {
        let at = At { conn, channel: 0 };
        if header != PROTOCOL && header != PROTOCOL_0_9 {
            if let Some(out) = self.out(conn) {
                out.extend_from_slice(&PROTOCOL);
            }
            return self.set_phase(conn, Phase::Refused);
        }
        self.set_phase(conn, Phase::StartOk);
        let start = connection::Start {
            version_major: 0,
            version_minor: 9,
            server_properties: self.server_properties(),
            mechanisms: "PLAIN AMQPLAIN".into(),
            locales: "en_US".into(),
        };
        self.send(at, AMQPClass::Connection(AMQPMethod::Start(start)));
    }

    fn server_properties(&self) -> FieldTable {
        let mut capabilities = FieldTable::default();
        for name in CAPABILITIES {
            capabilities.insert(name.into(), AMQPValue::Boolean(true));
        }
        let mut properties = FieldTable::default();
        let product = super::reply_text(&self.settings.product);
        for (name, value) in [
            ("product", product),
            ("version", &self.settings.version),
            ("platform", "Rust"),
            ("information", "lightbus-broker: in memory, one node"),
            ("cluster_name", "lightbus-broker"),
            ("copyright", "The lightbus authors; Apache-2.0 or MIT"),
        ] {
            properties.insert(name.into(), AMQPValue::LongString(value.into()));
        }
        properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
        properties
    }

    /// A method of the connection class.
    pub(super) fn connection_method(&mut self, at: At, method: AMQPMethod) -> Outcome {
        let Some(phase) = self.conns.get(&at.conn).map(|connection| connection.phase) else {
            return Ok(());
        };
        match (phase, method) {
            (Phase::Closing, AMQPMethod::CloseOk(_)) => self.set_phase(at.conn, Phase::Done),
            (_, AMQPMethod::Close(close)) => self.close_on_request(at, &close),
            (Phase::Closing | Phase::Done | Phase::Refused, _) => {}
            (Phase::StartOk, AMQPMethod::StartOk(start_ok)) => return self.start_ok(at, &start_ok),
            (Phase::TuneOk, AMQPMethod::TuneOk(tune_ok)) => return self.tune_ok(at, &tune_ok),
            (Phase::Open, AMQPMethod::Open(open)) => {
                return self.open(at, open.virtual_host.as_str());
            }
            (Phase::Running, AMQPMethod::UpdateSecret(_)) => {
                self.send(
                    at,
                    AMQPClass::Connection(AMQPMethod::UpdateSecretOk(
                        connection::UpdateSecretOk {},
                    )),
                );
            }
            _ => return Err(misplaced()),
        }
        Ok(())
    }

    fn close_on_request(&mut self, at: At, close: &connection::Close) {
        self.note_closed(at.conn, || CloseReason::Client {
            code: close.reply_code,
            text: close.reply_text.as_str().into(),
        });
        self.flush_confirms(at.conn);
        self.tear_down(at.conn);
        self.set_phase(at.conn, Phase::Done);
        self.send(
            at,
            AMQPClass::Connection(AMQPMethod::CloseOk(connection::CloseOk {})),
        );
    }

    fn start_ok(&mut self, at: At, start_ok: &connection::StartOk) -> Outcome {
        let client = describe(&start_ok.client_properties);
        let tell = client.login_failure_notify;
        if let Some(connection) = self.conns.get_mut(&at.conn) {
            connection.client = client;
        }
        let mechanism = start_ok.mechanism.as_str();
        let (user, password) = credentials(mechanism, start_ok.response.as_bytes())?;
        let welcome = !self.refuses_logins;
        let Some(account) = self.settings.admit(&user, &password).filter(|_| welcome) else {
            tracing::info!(user, "login refused");
            if !tell {
                self.set_phase(at.conn, Phase::Refused);
                return Ok(());
            }
            let text = format!(
                "Login was refused using authentication mechanism {mechanism}. For details see the broker logfile."
            );
            return Err(login_refused(text).against(0, 0));
        };
        let impersonates = account.impersonates;
        if let Some(connection) = self.conns.get_mut(&at.conn) {
            connection.user = user.into();
            connection.impersonates = impersonates;
            connection.phase = Phase::TuneOk;
        }
        let tune = connection::Tune {
            channel_max: self.settings.channel_max,
            frame_max: self.settings.frame_max,
            heartbeat: self.settings.heartbeat,
        };
        self.send(at, AMQPClass::Connection(AMQPMethod::Tune(tune)));
        Ok(())
    }

    fn tune_ok(&mut self, at: At, tune_ok: &connection::TuneOk) -> Outcome {
        let frame_max = negotiate(
            "frame_max",
            LEAST_FRAME,
            self.settings.frame_max,
            tune_ok.frame_max,
        )?;
        let channel_max = negotiate(
            "channel_max",
            1,
            u32::from(self.settings.channel_max),
            u32::from(tune_ok.channel_max),
        )?;
        if let Some(connection) = self.conns.get_mut(&at.conn) {
            connection.frame_max = frame_max;
            connection.channel_max = u16::try_from(channel_max).unwrap_or(u16::MAX);
            connection.heartbeat = tune_ok.heartbeat;
            connection.phase = Phase::Open;
        }
        Ok(())
    }

    /// What the user may do in a virtual host; none is everything.
    fn rights_in(&self, conn: ConnId, vhost: &str) -> Outcome<Option<Arc<Rights>>> {
        let user = self.conns.get(&conn).map_or("", |conn| &conn.user);
        let account = self
            .settings
            .users
            .iter()
            .find(|account| account.name == user);
        let Some(access) = account.and_then(|account| account.access.as_ref()) else {
            return Ok(None);
        };
        let rights = access.get(vhost).cloned().map(Some);
        rights.ok_or_else(|| {
            not_opened(format!(
                "access to vhost '{vhost}' refused for user '{user}'"
            ))
        })
    }

    fn open(&mut self, at: At, vhost: &str) -> Outcome {
        let Some((name, _)) = self.vhosts.get_key_value(vhost) else {
            return Err(not_opened(format!("vhost {vhost} not found")));
        };
        let name: Arc<str> = name.clone();
        self.assert_admits_one_more(at, vhost)?;
        let rights = self.rights_in(at.conn, vhost)?;
        if let Some(connection) = self.conns.get_mut(&at.conn) {
            connection.vhost = name;
            connection.rights = rights;
            connection.phase = Phase::Running;
        }
        self.note(|core| EventKind::ConnectionOpened {
            connection: core.connection_name(at.conn),
            user: core
                .conns
                .get(&at.conn)
                .map_or_else(|| "".into(), |c| c.user.clone()),
            vhost: core.vhost_of(at.conn),
        });
        self.send(
            at,
            AMQPClass::Connection(AMQPMethod::OpenOk(connection::OpenOk {})),
        );
        Ok(())
    }

    /// Refuses a connection beyond the limit of its virtual host.
    fn assert_admits_one_more(&self, at: At, vhost: &str) -> Outcome {
        let limit = self.settings.max_vhost_connections;
        if limit == usize::MAX {
            return Ok(());
        }
        let open = self
            .conns
            .values()
            .filter(|other| other.phase == Phase::Running && *other.vhost == *vhost);
        if open.count() < limit {
            return Ok(());
        }
        let user = self
            .conns
            .get(&at.conn)
            .map_or("", |connection| &*connection.user);
        Err(not_opened(format!(
            "access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached"
        )))
    }
}

/// Why a virtual host is not opened, which the client is told.
fn not_opened(why: String) -> Fault {
    let (class, method) = OPEN;
    not_allowed(why).against(class, method)
}

/// Whether a client that is not logged in yet is told why it is turned away.
pub(super) fn is_told(fault: &Fault) -> bool {
    matches!(fault.code, 403 | 541) || fault.against == Some(OPEN)
}

/// A method that the connection cannot take now, or that belongs to a channel.
pub(super) fn misplaced() -> Fault {
    channel_error("unexpected method in connection state running")
}

fn negotiate(what: &str, least: u32, most: u32, wanted: u32) -> Outcome<u32> {
    if wanted != 0 && wanted < least {
        return Err(not_allowed(format!(
            "negotiated {what} = {wanted} is lower than the minimum allowed value ({least})"
        )));
    }
    if wanted == 0 || wanted > most {
        return Err(not_allowed(format!(
            "negotiated {what} = {wanted} is higher than the maximum allowed value ({most})"
        )));
    }
    Ok(wanted)
}

fn describe(properties: &FieldTable) -> Client {
    let value = |name| {
        properties
            .inner()
            .get(name)
            .and_then(text)
            .map(str::to_owned)
    };
    let capabilities = match properties.inner().get("capabilities") {
        Some(AMQPValue::FieldTable(table)) => Some(table),
        _ => None,
    };
    let can = |name| {
        matches!(
            capabilities.and_then(|table| table.inner().get(name)),
            Some(AMQPValue::Boolean(true))
        )
    };
    Client {
        name: value("connection_name").map(Arc::from),
        product: value("product"),
        cancel_notify: can("consumer_cancel_notify"),
        blocked_notify: can("connection.blocked"),
        login_failure_notify: can("authentication_failure_close"),
    }
}

/// The user and password in an authentication response.
fn credentials(mechanism: &str, response: &[u8]) -> Outcome<(String, String)> {
    let found = match mechanism {
        "PLAIN" => plain(response),
        "AMQPLAIN" => amqplain(response),
        other => {
            return Err(command_invalid(format!(
                "unknown authentication mechanism '{other}'"
            )));
        }
    };
    found.ok_or_else(|| command_invalid(format!("malformed {mechanism} response")))
}

fn plain(response: &[u8]) -> Option<(String, String)> {
    let mut parts = std::str::from_utf8(response).ok()?.split('\0').skip(1);
    Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
}

fn amqplain(response: &[u8]) -> Option<(String, String)> {
    let mut bytes = (response.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(response);
    tables::walk(&bytes, 0, |_| ()).ok()?;
    let table = tables::decode(&bytes)?;
    let value = |name| table.inner().get(name).and_then(text).map(str::to_owned);
    Some((value("LOGIN")?, value("PASSWORD")?))
}
