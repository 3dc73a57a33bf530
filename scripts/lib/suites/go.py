"""Suites of Go clients: `go test` with Debian's Go."""

import shutil

from . import results
from .model import Outcome, Run, Source, Suite
from .obtain import debian, packages


def module(source: Source) -> str:
    return (source.folder / "go.mod").read_text().split("module ", 1)[1].split()[0]


def prepare(source: Source) -> None:
    packages("golang-go", "golang-uber-goleak-dev")
    # Where Go looks for it: what its tests import comes with Debian's packages, not from a proxy.
    place = source.work / "gopath" / "src" / module(source)
    if not place.exists():
        shutil.copytree(source.folder, place, ignore=shutil.ignore_patterns("go.mod", "go.sum", "_examples"))


def run(run: Run) -> Outcome:
    source = run.source
    # Without TLS: those tests want a broker with a certificate that a script of theirs makes.
    command = ["go", "test", "-json", "-tags", "integration", "-timeout", "10m", module(source)]
    env = {
        "GO111MODULE": "off",
        "GOPATH": f"{source.work / 'gopath'}:/usr/share/gocode",
        "AMQP_URL": run.broker.full_url(),
    }
    text, note = run.execute(command, env, source.work, limit=900)
    return results.go(text, note)


SUITES = [
    Suite("amqp091-go", debian("golang-github-rabbitmq-amqp091-go"), prepare, run),
    Suite("streadway-amqp", debian("golang-github-streadway-amqp"), prepare, run),
]
