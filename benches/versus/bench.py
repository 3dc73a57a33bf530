"""What the Python contestants of `scripts/versus-tasks` have in common: what they are told, and tell, is what
`benches/src/bin/tasks` is told, and tells."""

import json
import mmap
import os
import time

URL = os.environ["BENCH_URL"]
TASKS = int(os.environ["BENCH_TASKS"])
PREFETCH = int(os.environ["BENCH_PREFETCH"])


def marks() -> mmap.mmap:
    """A byte for each task: how often it has run. All processes of a worker share it."""
    with open(os.environ["BENCH_TALLY"], "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def enqueue(send) -> None:
    """Enqueues all tasks, one after the other, and tells how long that took."""
    began = time.monotonic()
    for number in range(TASKS):
        send(number)
    print(json.dumps({"seconds": time.monotonic() - began}))
