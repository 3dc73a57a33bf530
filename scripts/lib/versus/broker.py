"""The RabbitMQ of all contestants; each run has a virtual host of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Queue:
    name: str
    kind: str
    messages: int


@dataclass(frozen=True)
class Place:
    """An empty virtual host."""

    broker: "Broker"
    name: str

    @property
    def url(self) -> str:
        scheme, address = self.broker.url.split("://")
        return f"{scheme}://guest:guest@{address}/{self.name}"

    def queues(self) -> list[Queue]:
        told = self.broker.ctl("list_queues", "--vhost", self.name, "--silent", "name", "type", "messages")
        lines = [line.split("\t") for line in told.splitlines() if "\t" in line]
        return [Queue(name, kind.removeprefix("rabbit_").removesuffix("_queue"), int(messages)) for name, kind, messages in lines]


@dataclass(frozen=True)
class Broker:
    script: Path
    url: str

    def ctl(self, *words: str) -> str:
        command = [str(self.script), "ctl", *words]
        return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, timeout=120).stdout

    def version(self) -> str:
        return self.ctl("version").strip()

    @contextmanager
    def place(self) -> Iterator[Place]:
        name = "versus-tasks"
        self.ctl("add_vhost", name)
        try:
            self.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
            yield Place(self, name)
        finally:
            self.ctl("delete_vhost", name)
