"""Who is compared: how each is built, what its enqueuer and its worker are, and what it promises."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from .measure import Failed, say

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = REPOSITORY / "benches" / "versus"
BUILT = REPOSITORY / "target" / "versus"
RUSTY = BUILT / "rusty-celery" / "release" / "versus-rusty-celery"
VENV = BUILT / "venv"
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Contestant:
    name: str
    settings: str
    prepare: Callable[[], None]
    enqueue: list
    work: list
    # Its tasks lie in the queues whose names begin so.
    queue: str
    env: dict = field(default_factory=dict)
    is_slow: bool = False


def must(what: str, command: list, log: str, env: dict | None = None) -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    path = BUILT / log
    say(f"{what} (log: {path})")
    with path.open("wb") as out:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=REPOSITORY,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        lines = path.read_text(errors="replace").splitlines()
        reason = next((line for line in lines if line.lower().startswith("error")), lines[-1] if lines else "no output")
        raise Failed(f"does not build: {reason.strip()}")


@cache
def build_ours() -> None:
    command = ["cargo", "build", "--release", "--package", "lightbus-benches", "--bin", "tasks"]
    must("building the programs on lightbus and on lapin", command, "tasks.txt")


@cache
def build_rusty_celery() -> None:
    manifest = SOURCES / "rusty-celery" / "Cargo.toml"
    command = ["cargo", "build", "--release", "--locked", "--manifest-path", manifest, "--target-dir", BUILT / "rusty-celery"]
    must("building rusty-celery's program", command, "rusty-celery.txt")


@cache
def install_python() -> None:
    requirements = SOURCES / "requirements.txt"
    stamp = VENV / "requirements.txt"
    if stamp.is_file() and stamp.read_text() == requirements.read_text():
        return
    must("making a virtual environment", [sys.executable, "-m", "venv", "--clear", VENV], "venv.txt")
    must("installing Celery and Dramatiq", [VENV / "bin" / "pip", "install", "--requirement", requirements], "pip.txt")
    stamp.write_text(requirements.read_text())


def tasks(by: str, *options: str) -> dict:
    """The programs of benches/src/bin/tasks."""
    program = REPOSITORY / "target" / "release" / "tasks"
    return {"prepare": build_ours, "enqueue": [program, "enqueue", by, *options], "work": [program, "work", by]}


def celery(settings: str) -> dict:
    return {
        "prepare": install_python,
        "enqueue": [VENV / "bin" / "python", "celery_tasks.py"],
        "work": [VENV / "bin" / "celery", "--app", "celery_tasks", "worker", "--loglevel", "WARNING"],
        "queue": "celery",
        "env": {"BENCH_CELERY": settings},
        "is_slow": True,
    }


OURS = "quorum queue; confirms; acknowledged when done, in multiples"
ALL = [
    Contestant(
        "lapin",
        f"by hand; {OURS}; 1024 await their confirmation together",
        queue="bench-tasks",
        **tasks("lapin"),
    ),
    Contestant(
        "lightbus",
        f"`enqueue_many`; {OURS}; 1024 await their confirmation together",
        queue="lb.task.",
        **tasks("lightbus"),
    ),
    Contestant(
        "lapin-one-by-one",
        "the same, but each confirmation is awaited before the next task is enqueued",
        queue="bench-tasks",
        is_slow=True,
        **tasks("lapin", "--one-by-one"),
    ),
    Contestant(
        "lightbus-one-by-one",
        "`.enqueue().await` for each: its confirmation is awaited before the next task is enqueued",
        queue="lb.task.",
        is_slow=True,
        **tasks("lightbus", "--one-by-one"),
    ),
    Contestant(
        "rusty-celery",
        "crate `celery` 0.5.5; classic queue and no confirms, it knows no others; `acks_late`",
        prepare=build_rusty_celery,
        enqueue=[RUSTY, "enqueue"],
        work=[RUSTY, "work"],
        queue="celery",
    ),
    Contestant(
        "celery",
        f"5.7.0; `task_default_queue_type=quorum`, `confirm_publish` (awaited one by one: it has no other way), `task_acks_late`; "
        f"prefork, {CORES} processes",
        **celery("safe"),
    ),
    Contestant(
        "celery-defaults",
        f"5.7.0; classic queue, no confirms, acknowledged before it runs; prefork, {CORES} processes, prefetch {4 * CORES}",
        **celery("defaults"),
    ),
    Contestant(
        "dramatiq",
        f"2.2.1; classic queue, it knows no other; `confirm_delivery` (awaited one by one: it has no other way); acknowledged when "
        f"done; {CORES} processes of 8 threads",
        prepare=install_python,
        enqueue=[VENV / "bin" / "python", "dramatiq_tasks.py"],
        work=[VENV / "bin" / "dramatiq", "dramatiq_tasks"],
        queue="default",
        is_slow=True,
    ),
]
