//! The thread a broker runs on. Its own, so that a program that blocks its runtime, as tests do, does not stop its broker.

use std::{io, net::TcpListener, sync::Arc};

use tokio::sync::oneshot;

use crate::server::{self, Shared};

#[derive(Debug)]
pub(crate) struct Thread {
    /// Dropped, it ends the broker at once.
    alive: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    /// Serves `listener` until the broker is stopped, or this is dropped.
    pub(crate) fn start(shared: Arc<Shared>, listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (alive, gone) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let handle = std::thread::Builder::new()
            .name("lightbus-broker".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = server::serve(shared.clone(), listener) => {}
                        _ = gone => {}
                    }
                });
                // Its tasks and sockets go with it, before anybody hears of the end.
                drop(runtime);
                shared.end();
                let _ = end.send(());
            })?;
        Ok(Self {
            alive: Some(alive),
            ended,
            handle: Some(handle),
        })
    }

    /// Waits for the end of a broker that was told to stop.
    pub(crate) async fn ended(&mut self) {
        // Closed without a word: the thread is gone as well.
        let _ = (&mut self.ended).await;
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(handle) = self.handle.take()
            && handle.join().is_err()
        {
            tracing::error!("the broker's thread panicked");
        }
    }
}
