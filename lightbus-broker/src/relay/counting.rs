//! How much waits in the queues that somebody consumes: the broker is asked, when somebody wants to know.

use super::{admin::Admin, ledger::Ledger, shared::Shared};
use std::{sync::Arc, time::Duration};

/// Between two attempts to reach a broker that is gone.
const PAUSE: Duration = Duration::from_millis(100);

/// Asks whenever somebody wants to know; never ends.
pub(super) async fn run(shared: Arc<Shared>, admin: Admin) {
    let mut admin = Some(admin);
    loop {
        shared.wanted.notified().await;
        if admin.is_none() {
            admin = Admin::open(&shared.target).await.ok();
        }
        let Some(mut open) = admin.take() else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        match round(&shared, &mut open).await {
            Ok(()) => admin = Some(open),
            Err(error) => tracing::warn!(%error, "the relay's own connection is lost"),
        }
    }
}

/// Asks once for each queue.
async fn round(shared: &Shared, admin: &mut Admin) -> std::io::Result<()> {
    let vhost = shared.target.vhost.as_str();
    let (changes, names) = shared.with(|ledger| (ledger.changes, counted(ledger, vhost)));
    for name in names {
        let ready = admin.ready(&name).await?;
        shared.with(|ledger| {
            let places = ledger.vhosts.get_mut(vhost);
            if let Some(queue) = places.and_then(|places| places.queues.get_mut(&name)) {
                queue.ready = ready.unwrap_or_default();
            }
        });
    }
    shared.with(|ledger| ledger.counted = Some(changes));
    Ok(())
}

fn counted(ledger: &Ledger, vhost: &str) -> Vec<Arc<str>> {
    let queues = ledger.vhosts.get(vhost).map(|places| &places.queues);
    let counted = queues
        .into_iter()
        .flatten()
        .filter(|(_, it)| it.is_counted());
    counted.map(|(name, _)| name.clone()).collect()
}
