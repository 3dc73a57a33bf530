//! The thread a broker runs on, or a relay. Its own, so that a program that blocks its runtime, as tests do, does not stop its broker.

use std::{io, net::TcpListener};

use tokio::sync::oneshot;

#[derive(Debug)]
pub(crate) struct Thread {
    /// Dropped, it ends the broker at once.
    alive: Option<oneshot::Sender<()>>,
    ended: oneshot::Receiver<()>,
    handle: Option<std::thread::JoinHandle<()>>,
}

impl Thread {
    /// Serves `listener` until `serve` ends, or this is dropped. Then everything of it goes, and `end` is called.
    pub(crate) fn start<F: Future<Output = ()>>(
        name: &str,
        listener: TcpListener,
        serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static,
        end: impl FnOnce() + Send + 'static,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (alive, gone) = oneshot::channel::<()>();
        let (last, ended) = oneshot::channel();
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(listener) => {}
                        _ = gone => {}
                    }
                });
                // Its tasks and sockets go with it, before anybody hears of the end.
                drop(runtime);
                end();
                let _ = last.send(());
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
            tracing::error!("a broker's thread panicked");
        }
    }
}
