//! A worker: a process that does the studio's tasks, as many at a time as suits its machine. Start more of them, on other machines as well, to get more done.

use std::path::Path;
use std::time::Duration;
use std::{future, io, thread};

use lightbus::{Bus, Context, Error};
use tokio::sync::oneshot;

use crate::api::{
    AttemptFailed, CleanedUp, Credit, ImageError, Picture, Sheet, StudioApi, StudioApiEvents,
    StudioApiServer, Thumbnail,
};
use crate::darkroom::{self, Tell};
use crate::storage::Storage;

/// How many pictures a worker has in hand at a time. Each takes a processor while it lasts.
const AT_A_TIME: u16 = 2;

struct Worker {
    storage: Storage,
    events: StudioApiEvents,
}

/// Works on the broker of `LIGHTBUS_URL` until SIGINT, SIGTERM, or, for one that was hired, the end of its standard input.
pub(crate) async fn work(folder: &Path, hired: bool) -> anyhow::Result<()> {
    let storage = Storage::open(folder)?;
    let sent_home = sent_home(hired);
    tokio::pin!(sent_home);
    // The broker may go with the one who hired: there is nothing to wait for then.
    let bus = tokio::select! {
        () = &mut sent_home => return Ok(()),
        bus = begin(storage) => bus?,
    };
    let ended = bus.run_until_shutdown();
    tokio::pin!(ended);
    tokio::select! {
        ended = &mut ended => ended?,
        () = sent_home => {
            bus.shutdown();
            ended.await?;
        }
    }
    Ok(())
}

async fn begin(storage: Storage) -> Result<Bus, Error> {
    let bus = Bus::builder("studio-worker")
        .grace(Duration::from_secs(5))
        .connect()
        .await?;
    let events = StudioApiEvents::new(&bus);
    bus.serve(StudioApiServer::new(Worker { storage, events }))
        .tasks_only()
        .task_concurrency(AT_A_TIME)
        .queue_concurrency("nightly", 1)
        .await?;
    Ok(bus)
}

/// Waits for the end of the standard input, which comes with the end of the one who hired, however that one dies. Never, for one that was not hired.
async fn sent_home(hired: bool) {
    if !hired {
        return future::pending().await;
    }
    let (gone, told) = oneshot::channel();
    // Not one of tokio's threads, which the program would wait for when it ends for another reason.
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = gone.send(());
    });
    let _ = told.await;
}

impl StudioApi for Worker {
    async fn inspect(&self, name: String) -> Result<Picture, ImageError> {
        self.develop(move |storage, tell, credit| {
            let file = darkroom::inspect(storage, &name, tell)?;
            Ok(Picture { name, file, credit })
        })
        .await
    }

    async fn resize(&self, picture: Picture, width: u32) -> Result<Thumbnail, ImageError> {
        self.develop(move |storage, tell, credit| {
            let file = darkroom::resize(storage, &picture.name, width, tell)?;
            Ok(Thumbnail {
                picture,
                file,
                credit,
            })
        })
        .await
    }

    async fn contact_sheet(&self, thumbnails: Vec<Thumbnail>) -> Result<Sheet, ImageError> {
        self.develop(move |storage, tell, credit| {
            let file = darkroom::contact_sheet(storage, &thumbnails, tell)?;
            Ok(Sheet {
                thumbnails,
                file,
                credit,
            })
        })
        .await
    }

    async fn clean_up(&self) -> Result<(), ImageError> {
        let trouble = |reason| ImageError::Storage { reason };
        let cleaned = self.storage.clean_up();
        let (files, bytes) = cleaned.map_err(|error| trouble(error.to_string()))?;
        let news = CleanedUp { files, bytes };
        let published = self.events.cleaned_up().publish(news).await;
        published.map_err(|error| trouble(error.to_string()))
    }
}

impl Worker {
    /// Pixels are work for a thread that may block, not for those that keep the bus alive.
    async fn develop<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage, Tell<'_>, Credit) -> Result<T, ImageError> + Send + 'static,
    ) -> Result<T, ImageError> {
        let storage = self.storage.clone();
        let task = Context::current();
        let credit = Credit {
            worker: std::process::id(),
            attempts: task.as_ref().map_or(0, Context::attempt) + 1,
        };
        let tell = move |part: f64, text: &str| {
            if let Some(task) = &task {
                task.progress(part, text);
            }
        };
        let done = tokio::task::spawn_blocking(move || work(&storage, &tell, credit)).await;
        // A panic is a failed attempt like any other; the bus sees to it.
        let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        if let Err(error) = &done {
            self.tell(credit.attempts, error).await;
        }
        done.map_err(|error| match error {
            ImageError::NoSuchPicture { .. } => Context::permanent(error),
            _ => error,
        })
    }

    async fn tell(&self, attempt: u32, error: &ImageError) {
        let error = error.clone();
        let news = AttemptFailed { attempt, error };
        // The task's dead letter tells it as well.
        let _ = self.events.attempt_failed().publish(news).await;
    }
}
