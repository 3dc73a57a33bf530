"""One run of one contestant: its enqueuer, then its worker, metered from outside."""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

# Between two looks at a worker's marks, and at its memory.
LOOK, WEIGH = 0.005, 0.25
# How long a worker may take to end.
ENDING = 30
# For how long RabbitMQ may tell old numbers.
STALE = 15


class Failed(Exception):
    """Something could not be had; the message is one line for whoever reads the table."""


def say(text: str) -> None:
    print(f"versus-tasks: {text}", file=sys.stderr, flush=True)


@dataclass
class Part:
    """What an enqueuer or a worker cost."""

    seconds: float
    # With all its processes, from their start to their end.
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0


@dataclass
class Run:
    tasks: int
    enqueued: Part | None = None
    worked: Part | None = None
    # By distinct number.
    ran: int = 0
    twice: int = 0
    left: int = 0
    queue: str = ""
    notes: list = field(default_factory=list)

    def is_complete(self) -> bool:
        return not self.notes and (self.ran, self.twice, self.left) == (self.tasks, 0, 0)

    def rates(self) -> tuple[float | None, float | None]:
        """Tasks a second: enqueued, run."""
        return (
            self.tasks / self.enqueued.seconds if self.enqueued else None,
            self.ran / self.worked.seconds if self.worked and self.worked.seconds else None,
        )

    def summary(self) -> str:
        enqueued, ran = (f"{rate:.0f}/s" if rate else "-" for rate in self.rates())
        return f"enqueued {enqueued}, run {ran}, {self.ran} ran, {self.left} left" + "".join(f"; {note}" for note in self.notes)


class Process:
    """A program with all that it starts."""

    def __init__(self, command: list, env: dict, folder: Path) -> None:
        self.out, self.log = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        self.program = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=self.out,
            stderr=self.log,
            start_new_session=True,
        )
        self.began = time.monotonic()
        self.peak, self.weighed, self.cpu = 0.0, 0.0, 0.0
        self.code: int | None = None

    def ended(self) -> bool:
        if self.code is None:
            pid, status, usage = os.wait4(self.program.pid, os.WNOHANG)
            if pid:
                self.code = self.program.returncode = os.waitstatus_to_exitcode(status)
                self.cpu = usage.ru_utime + usage.ru_stime
        if self.code is None and time.monotonic() - self.weighed > WEIGH:
            self.weigh()
        return self.code is not None

    def weigh(self) -> None:
        """Pages that processes share are counted once."""
        self.peak = max(self.peak, sum(map(proportional_kib, session(self.program.pid))) / 1024)
        self.weighed = time.monotonic()

    def until_ended(self, limit: float) -> bool:
        deadline = time.monotonic() + limit
        while not self.ended():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK)
        return True

    def terminate(self) -> None:
        self.weigh()
        self.program.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Whatever is left of it."""
        try:
            os.killpg(self.program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if self.code is None:
            self.program.wait()

    def told(self) -> dict:
        """Its last line."""
        self.out.seek(0)
        lines = self.out.read().decode(errors="replace").splitlines()
        try:
            return json.loads(lines[-1]) if lines else {}
        except ValueError:
            return {}

    def complaint(self) -> str:
        self.log.seek(0)
        lines = [line.strip() for line in self.log.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1][:200] if lines else "it said nothing"


def session(leader: int) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == leader:
                found.append(int(entry))
    return found


def proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def measure(contestant, broker, tasks: int, prefetch: int, limit: int) -> Run:
    run = Run(tasks)
    with broker.place() as place, tempfile.NamedTemporaryFile(prefix="versus-tasks-") as tally:
        tally.truncate(tasks)
        env = {
            "BENCH_URL": place.url,
            "BENCH_TASKS": str(tasks),
            "BENCH_PREFETCH": str(prefetch),
            "BENCH_TALLY": tally.name,
            "dramatiq_queue_prefetch": str(prefetch),
            "PYTHONDONTWRITEBYTECODE": "1",
            **contestant.env,
        }
        folder = Path(__file__).resolve().parents[3] / "benches" / "versus"
        enqueue(run, Process(contestant.enqueue, env, folder), limit)
        if run.enqueued:
            with mmap.mmap(tally.fileno(), tasks) as marks:
                work(run, Process(contestant.work, env, folder), marks, limit)
        look_at_queues(run, place, contestant.queue)
    return run


def look_at_queues(run: Run, place, prefix: str) -> None:
    """What a node tells of a queue may be some seconds old: what seems to be left is looked at again."""
    deadline = time.monotonic() + STALE
    while True:
        queues = [queue for queue in place.queues() if queue.name.startswith(prefix)]
        run.left = sum(queue.messages for queue in queues)
        run.queue = "/".join(sorted({queue.kind for queue in queues}))
        if not run.left or time.monotonic() > deadline:
            return
        time.sleep(1)


def enqueue(run: Run, process: Process, limit: int) -> None:
    try:
        ended = process.until_ended(limit)
        told = process.told()
        if not ended:
            run.notes.append(f"enqueueing took longer than {limit} s")
        elif process.code or "seconds" not in told:
            run.notes.append(f"the enqueuer ended with {process.code}: {process.complaint()}")
        else:
            run.enqueued = Part(told["seconds"], process.cpu, max(process.peak, told.get("mib", 0)))
    finally:
        process.kill()


def work(run: Run, process: Process, marks: mmap.mmap, limit: int) -> None:
    try:
        seconds = until_all_ran(process, marks, limit)
        if process.code is not None:
            run.notes.append(f"the worker ended with {process.code}: {process.complaint()}")
        else:
            process.terminate()
            if not process.until_ended(ENDING):
                run.notes.append(f"the worker did not end within {ENDING} s")
        counts = marks[:]
        run.ran = len(counts) - counts.count(0)
        run.twice = run.ran - counts.count(1)
        if run.ran < run.tasks:
            run.notes.append(f"{run.ran} of {run.tasks} had run after {limit} s")
        told = process.told()
        run.worked = Part(told.get("seconds", seconds), process.cpu, max(process.peak, told.get("mib", 0)))
    finally:
        process.kill()


def until_all_ran(process: Process, marks: mmap.mmap, limit: int) -> float:
    """Seconds from the first task to the last, or to the limit."""
    deadline = process.began + limit
    first, told, at = None, time.monotonic(), 0
    while not process.ended() and (now := time.monotonic()) < deadline:
        # They run roughly in their order: what has been seen is not looked at again.
        at = marks.find(b"\0", at)
        if first is None and marks[:4096].count(0) < len(marks[:4096]):
            first = now
        if at < 0:
            return now - (first or now)
        if now - told > 10:
            told = now
            say(f"  about {at} of {len(marks)} have run")
        time.sleep(LOOK)
    return time.monotonic() - (first or process.began)
