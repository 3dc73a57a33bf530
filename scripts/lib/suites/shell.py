"""Runs other programs: with a time limit, a log file, and word of how far a long one is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class Failed(Exception):
    """Something could not be had; the message is one line for whoever reads the table."""


def say(text: str) -> None:
    print(f"suites: {text}", file=sys.stderr, flush=True)


def last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 4096))
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def end(process: subprocess.Popen) -> None:
    """Ends a program and all that it started: each has a process group of its own."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()


def run(what: str, command: list, folder: Path, log: Path, env: dict | None = None, limit: int = 600) -> tuple[int, bool]:
    """Runs a command with its output in `log`; gives its exit code, and whether it had to be ended after `limit` seconds."""
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    told = began
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    return process.wait(1), False
                except subprocess.TimeoutExpired:
                    now = time.monotonic()
                if now - began > limit:
                    return -1, True
                if now - told >= 20:
                    told = now
                    say(f"{what}: {int(now - began)} s, {last_line(log)[:100]}")
        finally:
            end(process)


def must(what: str, command: list, folder: Path, log: Path, env: dict | None = None, limit: int = 900) -> None:
    """Runs a command without which a suite cannot be had."""
    try:
        code, late = run(what, command, folder, log, env, limit)
    except FileNotFoundError as error:
        raise Failed(f"{what}: {error.filename} is not installed") from error
    if late:
        raise Failed(f"{what} took longer than {limit} s (log: {log})")
    if code:
        raise Failed(f"{what} failed: {last_line(log)[:120]} (log: {log})")


def output(command: list, folder: Path | None = None) -> str:
    """What a short command prints; nothing when it fails."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=120)
    return done.stdout if done.returncode == 0 else ""
