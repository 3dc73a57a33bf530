"""What a suite is, what it runs against, and what comes out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from .shell import run


@dataclass
class Outcome:
    """How the tests of a suite ended on one broker."""

    passed: int = 0
    skipped: int = 0
    failed: list[str] = field(default_factory=list)
    # Why there is no outcome, or why it is not all of it.
    note: str = ""

    def merge(self, other: "Outcome") -> None:
        self.passed += other.passed
        self.skipped += other.skipped
        self.failed += other.failed
        self.note = "; ".join(filter(None, [self.note, other.note]))


@dataclass(frozen=True)
class Broker:
    """A broker under test."""

    label: str
    url: str
    # What runs a command where the broker is: nothing, or the command that enters its network namespace.
    inside: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 5672

    @property
    def user(self) -> str:
        return unquote(urlsplit(self.url).username or "guest")

    @property
    def password(self) -> str:
        return unquote(urlsplit(self.url).password or "guest")

    def full_url(self, vhost: str = "%2f") -> str:
        """With all its parts: not every client supplies `guest` by itself."""
        return f"amqp://{self.user}:{self.password}@{self.host}:{self.port}/{vhost}"


@dataclass(frozen=True)
class Source:
    """The unpacked source of a suite."""

    version: str
    folder: Path
    # Where programs built for it and its logs are.
    work: Path


@dataclass(frozen=True)
class Run:
    """One run of a suite's tests against a broker."""

    suite: str
    source: Source
    broker: Broker

    def log(self, name: str) -> Path:
        return self.source.work / "logs" / f"{self.broker.label}-{name}"

    def execute(self, command: list, env: dict | None = None, folder: Path | None = None, limit: int = 600) -> tuple[str, str]:
        """Runs tests where the broker is; gives what they printed, and a note when they did not end by themselves."""
        log = self.log("output.txt")
        log.unlink(missing_ok=True)
        what = f"{self.suite} on {self.broker.label}"
        _, late = run(what, [*self.broker.inside, *command], folder or self.source.folder, log, env, limit)
        return log.read_text(errors="replace"), f"ended after {limit} s" if late else ""


@dataclass(frozen=True)
class Suite:
    """A suite of tests that somebody else wrote for a client."""

    name: str
    # Brings the source into the folder: by package name, through the ordinary client of its registry.
    obtain: Callable[[Path], Source]
    # Builds what is needed to run it, once.
    prepare: Callable[[Source], None]
    run: Callable[[Run], Outcome]
    # The tests name 127.0.0.1:5672 themselves: they and the broker get a network of their own.
    fixed_port: bool = False
    # A test counts on a port where nobody listens: they get a network of their own where this is run as root.
    alone: bool = False
    # What must exist beside `guest` and `/`: "name:password", and virtual hosts.
    users: tuple[str, ...] = ()
    vhosts: tuple[str, ...] = ()
