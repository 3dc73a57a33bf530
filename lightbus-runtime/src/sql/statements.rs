//! Every statement, written once for all dialects. In each, `now` is the database's time in milliseconds since 1970 (the replicas' clocks may differ), and `lock`
//! keeps two of them from waiting for each other's rows.

/// The statements about handled messages, in one dialect.
#[derive(Debug)]
pub struct HandledSql {
    pub(crate) begin: &'static str,
    pub(crate) look: &'static str,
    pub(crate) renew: &'static str,
    pub(crate) done: &'static str,
    pub(crate) done_by_owner: &'static str,
    pub(crate) release: &'static str,
    pub(crate) prune: &'static str,
}

/// `begin` looks before it writes, so that it does not wait for a handler's transaction which has noted the message as done.
macro_rules! handled_sql {
    (now: $now:literal, lock: $lock:literal) => {
        HandledSql {
            begin: concat!(
                "INSERT INTO lightbus_handled (scope, message_id, owner, done, at_ms) \
                 SELECT $1, $2, $3, FALSE, ",
                $now,
                " + $4 WHERE NOT EXISTS (SELECT 1 FROM lightbus_handled AS h WHERE h.scope = $1 AND h.message_id = $2 \
                 AND (h.done OR (h.owner <> $3 AND h.at_ms > ",
                $now,
                "))) ON CONFLICT (scope, message_id) DO UPDATE SET owner = excluded.owner, at_ms = excluded.at_ms \
                 WHERE NOT lightbus_handled.done AND (lightbus_handled.owner = excluded.owner OR lightbus_handled.at_ms <= ",
                $now,
                ")"
            ),
            look: concat!(
                "SELECT CASE WHEN done THEN CAST(1 AS BIGINT) ELSE 0 END, at_ms - ",
                $now,
                " FROM lightbus_handled WHERE scope = $1 AND message_id = $2"
            ),
            renew: concat!(
                "UPDATE lightbus_handled SET at_ms = ",
                $now,
                " + $4 WHERE scope = $1 AND message_id = $2 AND owner = $3 AND NOT done"
            ),
            done: concat!(
                "INSERT INTO lightbus_handled (scope, message_id, owner, done, at_ms) VALUES ($1, $2, $3, TRUE, ",
                $now,
                ") ON CONFLICT (scope, message_id) DO UPDATE SET done = TRUE, at_ms = excluded.at_ms WHERE NOT lightbus_handled.done"
            ),
            done_by_owner: concat!(
                "UPDATE lightbus_handled SET done = TRUE, at_ms = ",
                $now,
                " WHERE scope = $1 AND message_id = $2 AND owner = $3 AND NOT done"
            ),
            release: "DELETE FROM lightbus_handled WHERE scope = $1 AND message_id = $2 AND owner = $3 AND NOT done",
            prune: concat!(
                "DELETE FROM lightbus_handled WHERE (scope, message_id) IN (SELECT scope, message_id FROM lightbus_handled WHERE at_ms < ",
                $now,
                " - $1 ORDER BY at_ms LIMIT $2",
                $lock,
                ")"
            ),
        }
    };
}
pub(crate) use handled_sql;

/// The statements of the outbox, in one dialect.
#[derive(Debug)]
pub struct OutboxSql {
    pub(crate) insert: &'static str,
    pub(crate) due: &'static str,
    pub(crate) claim: &'static str,
    pub(crate) confirmed: &'static str,
    pub(crate) put_off: &'static str,
    pub(crate) refuse: &'static str,
    pub(crate) counts: &'static str,
    pub(crate) refused: &'static str,
    pub(crate) retry: &'static str,
    pub(crate) discard: &'static str,
}

/// A relay takes rows by a lease, and not by a transaction that it would hold open while it waits for the broker: on SQLite nobody else could write, and
/// on PostgreSQL nothing could be cleaned up.
macro_rules! outbox_sql {
    (now: $now:literal, lock: $lock:literal) => {
        OutboxSql {
            insert: concat!(
                "INSERT INTO lightbus_outbox (message_id, api, event, routing_key, payload, headers, created_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6, ",
                $now,
                ")"
            ),
            due: concat!(
                "SELECT 1 FROM lightbus_outbox WHERE not_before_ms <= ",
                $now,
                " LIMIT 1"
            ),
            claim: concat!(
                "UPDATE lightbus_outbox SET claimed_by = $1, not_before_ms = ",
                $now,
                " + $2 WHERE id IN (SELECT id FROM lightbus_outbox WHERE not_before_ms <= ",
                $now,
                " ORDER BY id LIMIT $3",
                $lock,
                ") RETURNING id, message_id, api, event, routing_key, payload, headers, created_ms"
            ),
            confirmed: "DELETE FROM lightbus_outbox WHERE id BETWEEN $1 AND $2 AND claimed_by = $3",
            put_off: concat!(
                "UPDATE lightbus_outbox SET claimed_by = '', error = $3, not_before_ms = ",
                $now,
                " + $4 WHERE id = $1 AND claimed_by = $2"
            ),
            refuse: "UPDATE lightbus_outbox SET claimed_by = '', error = $3, not_before_ms = $4 WHERE id = $1 AND claimed_by = $2",
            counts: "SELECT COUNT(*), COUNT(CASE WHEN not_before_ms = $1 THEN 1 END) FROM lightbus_outbox",
            refused: "SELECT id, message_id, api, event, routing_key, error, created_ms FROM lightbus_outbox \
                      WHERE not_before_ms = $1 AND id > $2 ORDER BY id LIMIT $3",
            retry: "UPDATE lightbus_outbox SET not_before_ms = 0 WHERE id = $1 AND not_before_ms = $2",
            discard: "DELETE FROM lightbus_outbox WHERE id = $1 AND not_before_ms = $2",
        }
    };
}
pub(crate) use outbox_sql;
