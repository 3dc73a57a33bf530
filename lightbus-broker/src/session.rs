//! One connection's socket: a reader that feeds the core, and a writer that sends what the core has for it.

use crate::{
    core::{Agreed, ConnId, Core, Directive, Now},
    frames,
    link::{ENOUGH, Link, Work},
    server::Shared,
};
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

const FIRST_BUFFER: usize = 16 << 10;
const LARGEST_BUFFER: usize = 256 << 10;
/// Somebody who sends this much at once probably has more.
const FLOOD: usize = 64 << 10;
/// How long a client may take to confirm that it was closed.
const CLOSE: Duration = Duration::from_secs(5);
/// How long a client may take to close its socket after that. Closing first would cut off what it is still sending.
const LINGER: Duration = Duration::from_secs(2);

/// Takes a connection out of the broker, however its session ends.
struct Leave {
    shared: Arc<Shared>,
    id: ConnId,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.shared.disconnect(self.id);
    }
}

/// Serves one connection to its end.
pub(crate) async fn run(shared: Arc<Shared>, id: ConnId, link: Arc<Link>, stream: TcpStream) {
    let _leave = Leave {
        shared: shared.clone(),
        id,
    };
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "no nodelay");
    }
    let (input, output) = stream.into_split();
    let mut writer = JoinSet::new();
    writer.spawn(write(shared.clone(), id, link.clone(), output));
    let reader = Reader {
        shared: shared.clone(),
        id,
        link: link.clone(),
        input,
        buffer: vec![0; FIRST_BUFFER],
        start: 0,
        end: 0,
        greeted: false,
        sated: false,
        agreed: shared.with(|core, _| core.agreed(id)),
    };
    tokio::select! {
        result = reader.run() => {
            if let Err(error) = result {
                tracing::debug!(conn = id.0, %error, "read failed");
            }
        }
        _ = writer.join_next() => {}
        () = link.cut.notified() => return,
        () = overdue(&link) => {}
    }
    shared.with(|core, _| core.release_all(id));
    link.close();
    if timeout(LINGER, writer.join_next()).await.is_err() {
        tracing::debug!(conn = id.0, "the last bytes could not be sent");
    }
}

/// The client was told long ago that its connection is closed.
async fn overdue(link: &Link) {
    link.overdue.notified().await;
    tokio::time::sleep(CLOSE).await;
}

/// Sends what comes, and heartbeats when nothing does.
async fn write(shared: Arc<Shared>, id: ConnId, link: Arc<Link>, mut output: OwnedWriteHalf) {
    let mut buffer = Vec::new();
    loop {
        let work = link.work(buffer).await;
        link.gate.passed().await;
        let result = match work {
            Work::End => break,
            Work::Heartbeat => {
                buffer = Vec::new();
                output.write_all(&frames::HEARTBEAT_FRAME).await
            }
            Work::Send(mut bytes) => {
                let result = output.write_all(&bytes).await;
                link.sent(bytes.len());
                bytes.clear();
                buffer = bytes;
                result
            }
        };
        if let Err(error) = result {
            tracing::debug!(conn = id.0, %error, "write failed");
            return;
        }
        if link.meter.relieves() {
            shared.guarded(|core, now| core.drained(id, now));
        }
    }
    if let Err(error) = output.shutdown().await {
        tracing::debug!(conn = id.0, %error, "shutdown failed");
    }
}

/// The reading half of a session.
struct Reader {
    shared: Arc<Shared>,
    id: ConnId,
    link: Arc<Link>,
    input: OwnedReadHalf,
    buffer: Vec<u8>,
    /// What was read and not handled yet is `buffer[start..end]`.
    start: usize,
    end: usize,
    greeted: bool,
    /// Not all that was read was handled: the client is to read first.
    sated: bool,
    agreed: Agreed,
}

impl Reader {
    async fn run(mut self) -> io::Result<()> {
        let handshake = Instant::now().checked_add(self.shared.limits.handshake);
        let mut directive = Directive::Read;
        loop {
            if expires(self.silence(), self.link.room()).await.is_none() {
                tracing::info!(
                    conn = self.id.0,
                    "the client does not read what it asks for"
                );
                return Ok(());
            }
            match directive {
                Directive::Read if self.sated => {}
                Directive::Read => {
                    let deadline = if self.agreed.open {
                        self.silence()
                    } else {
                        handshake
                    };
                    if !self.fill(deadline).await? {
                        return Ok(());
                    }
                }
                Directive::Pause => self.link.resume.notified().await,
                Directive::AwaitClose => return self.await_close().await,
                Directive::Linger => return self.linger().await,
                Directive::Close => return self.last_words().await,
            }
            self.link.gate.passed().await;
            let flooded = self.end - self.start > FLOOD;
            directive = self.handle();
            if flooded || self.sated {
                // A client that keeps the buffer full must not keep the thread: it is everybody else's turn.
                tokio::task::yield_now().await;
            }
        }
    }

    /// When the client, should it say nothing from now on, is taken for dead.
    fn silence(&self) -> Option<Instant> {
        let seconds = u64::from(self.agreed.heartbeat);
        (seconds > 0).then(|| Instant::now() + Duration::from_millis(seconds * 2500))
    }

    /// Reads more; `false` at the end of the stream or of the client's time.
    async fn fill(&mut self, deadline: Option<Instant>) -> io::Result<bool> {
        self.make_room();
        let read = self.input.read(&mut self.buffer[self.end..]);
        let count = match expires(deadline, read).await {
            Some(count) => count?,
            None if self.link.gate.is_shut() => {
                self.link.gate.passed().await;
                return Ok(true);
            }
            // Blocked while it had nothing to say: from then on many clients say nothing at all, heartbeats neither.
            None if self.is_paused() => return Ok(true),
            None => {
                tracing::info!(conn = self.id.0, "the client was silent for too long");
                0
            }
        };
        self.end += count;
        Ok(count > 0)
    }

    fn is_paused(&self) -> bool {
        let directive = self.shared.with(|core, _| core.directive(self.id));
        directive == Directive::Pause
    }

    fn make_room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.start > 0 && self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let largest = LARGEST_BUFFER.max(self.agreed.frame_max + frames::OVERHEAD);
        if self.end == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).min(largest), 0);
        }
    }

    /// Gives the core everything that was read, unless the client is to read first.
    fn handle(&mut self) -> Directive {
        let id = self.id;
        let mut rest = &self.buffer[self.start..self.end];
        let (greeted, agreed, sated) = (&mut self.greeted, &mut self.agreed, &mut self.sated);
        let directive = self.shared.with(|core, now| {
            if !*greeted && let Some((header, more)) = rest.split_first_chunk::<8>() {
                core.greet(id, *header);
                *greeted = true;
                rest = more;
            }
            if *greeted {
                rest = feed(core, id, rest, agreed.frame_max, now);
            }
            *sated = is_sated(core, id);
            *agreed = core.agreed(id);
            core.end_batch(id)
        });
        self.start = self.end - rest.len();
        self.link.set_heartbeat(self.agreed.heartbeat);
        directive
    }

    /// Waits for the client to confirm that it was closed.
    async fn await_close(mut self) -> io::Result<()> {
        let deadline = Instant::now() + CLOSE;
        while self.fill(Some(deadline)).await? {
            if self.handle() != Directive::AwaitClose {
                return self.linger().await;
            }
        }
        Ok(())
    }

    /// Waits, not for long, until what a test holds back was sent.
    async fn last_words(self) -> io::Result<()> {
        let said = async {
            while self.shared.with(|core, _| core.holds_back(self.id)) {
                self.link.room.notified().await;
            }
        };
        if timeout(LINGER, said).await.is_err() {
            tracing::debug!(conn = self.id.0, "what is held goes out before it is due");
        }
        Ok(())
    }

    /// Waits for the client to close its socket.
    async fn linger(mut self) -> io::Result<()> {
        let deadline = Instant::now() + LINGER;
        loop {
            (self.start, self.end) = (0, 0);
            if !self.fill(Some(deadline)).await? {
                return Ok(());
            }
        }
    }
}

/// Waits for something, at most until the deadline if there is one.
async fn expires<T>(deadline: Option<Instant>, wanted: impl Future<Output = T>) -> Option<T> {
    match deadline {
        Some(deadline) => timeout_at(deadline, wanted).await.ok(),
        None => Some(wanted.await),
    }
}

/// Whether a client has so much to read that nothing more it asks for is looked at. Who is being closed gets no more anyway.
fn is_sated(core: &Core, id: ConnId) -> bool {
    core.unsent(id) > ENOUGH && matches!(core.directive(id), Directive::Read | Directive::Pause)
}

/// Hands frames to the core until they run out or the client has enough to read; returns what is left. Whatever goes wrong stays with
/// this connection.
fn feed<'a>(
    core: &mut Core,
    id: ConnId,
    mut bytes: &'a [u8],
    frame_max: usize,
    now: Now,
) -> &'a [u8] {
    while !is_sated(core, id) {
        match frames::next(bytes, frame_max) {
            Ok(None) => return bytes,
            Ok(Some((frame, length))) => {
                if catch_unwind(AssertUnwindSafe(|| core.frame(id, &frame, now))).is_err() {
                    tracing::error!(conn = id.0, "handling a frame panicked");
                    core.internal_error(id, now);
                }
                bytes = &bytes[length..];
            }
            Err(bad) => {
                core.bad_frame(id, bad, now);
                return &[];
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, config::Settings};

    #[test]
    fn a_panic_closes_one_connection_and_nothing_else() {
        let now = Clock::System.now();
        let mut core = Core::new(Settings::default(), now);
        let ids = [(); 2].map(|()| core.connect("test".into(), Arc::default()));
        for id in ids {
            core.greet(id, frames::PROTOCOL);
        }
        core.take_output(|_, bytes| bytes.clear());
        core.trap = true;
        assert!(feed(&mut core, ids[0], &frames::HEARTBEAT_FRAME, 4096, now).is_empty());
        assert!(feed(&mut core, ids[1], &frames::HEARTBEAT_FRAME, 4096, now).is_empty());
        let mut sent = Vec::new();
        core.take_output(|id, bytes| sent.push((id, bytes[7..13].to_vec())));
        assert_eq!(
            sent,
            [(ids[0], vec![0, 10, 0, 50, 2, 29])],
            "connection.close with 541"
        );
        assert_eq!(core.directive(ids[0]), Directive::AwaitClose);
        assert_eq!(core.directive(ids[1]), Directive::Read);
    }

    #[test]
    fn who_has_enough_to_read_is_not_listened_to() {
        let now = Clock::System.now();
        let mut core = Core::new(Settings::default(), now);
        let meter = Arc::<crate::core::Meter>::default();
        let id = core.connect("test".into(), meter.clone());
        core.greet(id, frames::PROTOCOL);
        core.take_output(|_, bytes| bytes.clear());
        let beat = frames::HEARTBEAT_FRAME;
        meter.add(ENOUGH + 1);
        assert_eq!(feed(&mut core, id, &beat, 4096, now), beat);
        meter.sub(1);
        assert!(feed(&mut core, id, &beat, 4096, now).is_empty());
        // Being closed, it is listened to whatever it has to read.
        meter.add(1);
        core.internal_error(id, now);
        assert!(feed(&mut core, id, &beat, 4096, now).is_empty());
    }
}
