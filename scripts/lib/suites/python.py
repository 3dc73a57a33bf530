"""Suites of Python clients: pytest in a virtual environment of their own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import results
from .model import Broker, Outcome, Run, Source, Suite
from .obtain import debian, sdist
from .shell import must


def nothing(source: Source) -> None:
    """Their files are run as they are."""


@dataclass(frozen=True)
class Pytest:
    """How pytest is run for a suite."""

    # Installed beside the client itself.
    needs: tuple[str, ...]
    arguments: tuple[str, ...]
    env: Callable[[Broker], dict[str, str]]
    adapt: Callable[[Source], None] = nothing
    limit: int = 900

    def prepare(self, source: Source) -> None:
        venv, log = source.work / "venv", source.work / "logs" / "prepare.txt"
        if (venv / "ready").exists():
            return
        must("python -m venv", [sys.executable, "-m", "venv", "--clear", venv], source.work, log)
        needs = ["pytest", "pytest-timeout", *self.needs, source.folder]
        must(f"pip install {source.folder.name}", [venv / "bin" / "pip", "install", *needs], source.work, log)
        self.adapt(source)
        (venv / "ready").touch()

    def run(self, run: Run) -> Outcome:
        report = run.log("report.xml")
        report.unlink(missing_ok=True)
        options = ["--timeout=60", f"--junitxml={report}", "-p", "no:cacheprovider"]
        command = [run.source.work / "venv" / "bin" / "python", "-m", "pytest", *options, *self.arguments]
        _, note = run.execute(command, self.env(run.broker), limit=self.limit)
        return results.junit(report, note)


def rabbitmq_host(broker: Broker) -> dict[str, str]:
    return {"RABBITMQ_HOST": broker.host, "RABBITMQ_5672_TCP": str(broker.port)}


def rabbitmq_url(broker: Broker) -> dict[str, str]:
    return {"RABBITMQ_URL": broker.full_url(), "RABBITMQ_URI": broker.full_url()}


def amqp_uri(broker: Broker) -> dict[str, str]:
    return {
        "AMQP_HOST": broker.host,
        "AMQP_PORT": str(broker.port),
        "AMQP_USERNAME": broker.user,
        "AMQP_PASSWORD": broker.password,
        "AMQP_URI": broker.full_url(),
        "AMQP_VHOST": "/",
    }


# Stands in for the helper that starts RabbitMQ in a container: the broker under test runs already.
NO_DOCKER = '''
import os


class DockerClient:
    def __init__(self, *_):
        pass

    def run(self, image, ports, environment=None):
        given = {"5672/tcp": int(os.environ["AMQP_PORT"]), "5671/tcp": 1}
        return ContainerInfo(id="", ports=given, host=os.environ["AMQP_HOST"])

    def kill(self, *_):
        raise RuntimeError("no container")

    remove = kill


def check_docker_available(*_):
    return None


parse_docker_host = check_docker_available
'''

# The fixtures for it, which the package of aiormq lacks.
FIXTURES = '''

from .docker_client import DockerClient


@pytest.fixture(scope="session")
def rabbitmq_container():
    return DockerClient().run("", [])


@pytest.fixture
def amqp_direct_url(rabbitmq_container):
    port = rabbitmq_container.ports["5672/tcp"]
    return URL.build(
        scheme="amqp", user="guest", password="guest", host=rabbitmq_container.host, port=port, path="//"
    )
'''


# How its tests clean up: over AMQP, and not over HTTP.
CLEAN = '''

def clean(names, queue=False, exchange=False):
    connection = Connection(HOST, USERNAME, PASSWORD)
    for name in names:
        if queue:
            connection.channel().queue.delete(name)
        if exchange:
            connection.channel().exchange.delete(name)
    connection.close()
'''


def append(source: Source, file: str, text: str, tests: str = "tests") -> None:
    with (source.folder / tests / file).open("a") as out:
        out.write(text)


def over_amqp(source: Source) -> None:
    append(source, "utility.py", CLEAN, "amqpstorm/tests/functional")


def without_docker(source: Source) -> None:
    append(source, "docker_client.py", NO_DOCKER)


def with_fixtures(source: Source) -> None:
    without_docker(source)
    append(source, "conftest.py", FIXTURES)


def as_package(source: Source) -> None:
    append(source, "__init__.py", "")
    # Where they look for variables; they are in the environment already.
    (source.folder / "build").mkdir(exist_ok=True)
    (source.folder / "build" / "test-environment").touch()


def suite(name: str, obtain: Callable[[Path], Source], pytest: Pytest, **more: object) -> Suite:
    return Suite(name, obtain, pytest.prepare, pytest.run, **more)


AIO = ("aiomisc", "aiomisc-pytest", "pytest-rst", "shortuuid", "timeout-decorator")

SUITES = [
    suite("py-amqp", sdist("amqp"), Pytest((), ("t/integration", "-k", "not tls"), rabbitmq_host)),
    suite(
        "kombu",
        sdist("kombu"),
        Pytest(("hypothesis", "pytest-freezer"), ("t/integration/test_py_amqp.py",), rabbitmq_host),
    ),
    suite(
        "pika",
        debian("python-pika"),
        Pytest(
            ("gevent", "tornado", "twisted", "nose"),
            tuple(
                f"tests/acceptance/{file}.py"
                for file in (
                    "async_adapter_tests",
                    "blocking_adapter_test",
                    "enforce_one_basicget_test",
                    "io_services_tests",
                    "twisted_adapter_tests",
                )
            ),
            amqp_uri,
        ),
        fixed_port=True,
    ),
    # Without TLS, and without the tests that stop and start their container.
    suite(
        "aiormq",
        sdist("aiormq"),
        Pytest((*AIO, "markdown-pytest"), ("tests", "-k", "not amqps"), amqp_uri, with_fixtures),
    ),
    suite(
        "aio-pika",
        sdist("aio-pika"),
        Pytest(
            AIO,
            (
                "tests",
                "--ignore=tests/test_amqps.py",
                "--ignore=tests/test_robust_recovery.py",
                # Half an hour of waiting for connections to be given up.
                "--ignore=tests/test_amqp_robust_proxy.py",
            ),
            amqp_uri,
            without_docker,
        ),
    ),
    suite("aiorabbit", sdist("aiorabbit"), Pytest((), ("tests",), rabbitmq_url, as_package)),
    # Without those of RabbitMQ's management over HTTP, and of TLS.
    suite(
        "amqpstorm",
        sdist("AMQPStorm"),
        Pytest(
            ("requests",),
            tuple(
                f"amqpstorm/tests/functional/test_{part}.py"
                for part in ("basic", "exchange", "generic", "legacy", "queue", "reliability", "tx")
            ),
            amqp_uri,
            over_amqp,
        ),
        fixed_port=True,
    ),
    suite("rabbitpy", sdist("rabbitpy"), Pytest(("python-dotenv",), ("tests",), rabbitmq_url)),
]
