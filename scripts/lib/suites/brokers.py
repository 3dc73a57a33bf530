"""Starts the brokers under test: a fresh one for each run of a suite, so that no suite sees what another left."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .model import Broker, Suite
from .shell import Failed, end, must, output, say

REPOSITORY = Path(__file__).resolve().parents[3]
FIXED_PORT = 5672


@contextmanager
def network(suite: Suite) -> Iterator[tuple[str, ...]]:
    """The command that enters a network namespace with a loopback of its own, for suites that need one."""
    root = os.geteuid() == 0
    if not suite.fixed_port and not (suite.alone and root):
        yield ()
        return
    if not root:
        raise Failed("its tests fix the port 5672: needs root, for a network namespace")
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        if not holder.stdout.readline():
            raise Failed("its tests fix the port 5672, and 'unshare --net' makes no network for them")
        yield ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
    finally:
        end(holder)


@dataclass(frozen=True)
class Ours:
    """The broker of this repository."""

    label: str = "lightbus-broker"

    def build(self, cache: Path) -> str:
        log = cache / "build.txt"
        log.unlink(missing_ok=True)
        command = ["cargo", "build", "--release", "--package", "lightbus-broker", "--example", "serve"]
        must("cargo build", [*command, "--message-format=json-render-diagnostics"], REPOSITORY, log, limit=1800)
        told = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        built = [line for line in told if line.get("executable")]
        if not built:
            raise Failed(f"cargo built no broker (log: {log})")
        # A copy, so that what is edited and built meanwhile does not change what is measured.
        shutil.copy2(built[-1]["executable"], cache / "serve.new")
        (cache / "serve.new").replace(cache / "serve")
        return self.label

    @contextmanager
    def start(self, suite: Suite, cache: Path) -> Iterator[Broker]:
        with network(suite) as inside, (cache / "broker.txt").open("ab") as log:
            # As the broker that suites know: some skip tests on any other.
            options = ["--product", "RabbitMQ", "--version", "4.0.5", "--user", "guest:guest"]
            for user in suite.users:
                options += ["--user", user]
            for vhost in suite.vhosts:
                options += ["--vhost", vhost]
            port = FIXED_PORT if inside else 0
            command = [*inside, cache / "serve", f"127.0.0.1:{port}", *options]
            process = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
            try:
                url = process.stdout.readline().strip()
                if not url:
                    raise Failed(f"the broker did not start (log: {cache / 'broker.txt'})")
                yield Broker(self.label, url, inside)
            finally:
                process.send_signal(signal.SIGINT)
                end(process)


@dataclass(frozen=True)
class RabbitMq:
    """A private node of `scripts/rabbitmq`."""

    # As LIGHTBUS_RABBITMQ_VERSION: debian or 4.
    version: str

    @property
    def label(self) -> str:
        return "rabbitmq" if self.version == "debian" else f"rabbitmq-{self.version}"

    def build(self, cache: Path) -> str:
        """Installs it when it is missing; gives its name with its version."""
        script, env = [REPOSITORY / "scripts" / "rabbitmq"], {"LIGHTBUS_RABBITMQ_VERSION": self.version}
        must(f"scripts/rabbitmq start ({self.label})", [*script, "start"], REPOSITORY, cache / "rabbitmq.txt", env)
        try:
            return f"RabbitMQ {output(['env', *pairs(env), *script, 'ctl', 'version']).strip()}"
        finally:
            must("scripts/rabbitmq stop", [*script, "stop"], REPOSITORY, cache / "rabbitmq.txt", env)

    @contextmanager
    def start(self, suite: Suite, cache: Path) -> Iterator[Broker]:
        with network(suite) as inside:
            env = {"LIGHTBUS_RABBITMQ_VERSION": self.version}
            if inside:
                env["LIGHTBUS_RABBITMQ_PORT"] = str(FIXED_PORT)
                env["LIGHTBUS_RABBITMQ_DIR"] = str(cache / suite.name / "node")
            script, log = [*inside, REPOSITORY / "scripts" / "rabbitmq"], cache / "rabbitmq.txt"
            must(f"scripts/rabbitmq start ({self.label})", [*script, "start"], REPOSITORY, log, env)
            try:
                for arguments in wanted(suite):
                    must(f"rabbitmqctl {arguments[0]}", [*script, "ctl", *arguments], REPOSITORY, log, env)
                url = output(["env", *pairs(env), *script, "url"]).strip()
                yield Broker(self.label, url, inside)
            finally:
                must("scripts/rabbitmq stop", [*script, "stop"], REPOSITORY, log, env)


@dataclass(frozen=True)
class Given:
    """A broker that runs already."""

    url: str
    label: str = "given"

    def build(self, cache: Path) -> str:
        return self.label

    @contextmanager
    def start(self, suite: Suite, cache: Path) -> Iterator[Broker]:
        broker = Broker(self.label, self.url)
        if suite.fixed_port and (broker.host, broker.port) not in (("127.0.0.1", FIXED_PORT), ("localhost", FIXED_PORT)):
            raise Failed(f"its tests fix the address 127.0.0.1:{FIXED_PORT}")
        if suite.users or suite.vhosts:
            say(f"{suite.name} expects users {suite.users} and virtual hosts {suite.vhosts}")
        yield broker


def pairs(env: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in env.items()]


def wanted(suite: Suite) -> Iterator[list[str]]:
    """What rabbitmqctl is told before a suite."""
    names = ["guest"]
    for user in suite.users:
        name, password = user.split(":", 1)
        names.append(name)
        yield ["add_user", name, password]
    for vhost in suite.vhosts:
        yield ["add_vhost", vhost]
    for vhost in ["/", *suite.vhosts]:
        for name in names:
            yield ["set_permissions", "-p", vhost, name, ".*", ".*", ".*"]
