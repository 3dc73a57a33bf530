"""Suites of Rust clients: `cargo test` in the crate as it was published."""

from collections.abc import Callable

from . import results
from .model import Broker, Outcome, Run, Source, Suite
from .obtain import crate
from .shell import must


def prepare(*arguments: str) -> Callable[[Source], None]:
    def build(source: Source) -> None:
        command = ["cargo", "test", "--no-run", *arguments]
        log = source.work / "logs" / "prepare.txt"
        must(f"cargo test --no-run in {source.folder.name}", command, source.folder, log, environment(source), 1800)

    return build


def environment(source: Source) -> dict[str, str]:
    return {"CARGO_TARGET_DIR": str(source.work / "target"), "CARGO_TERM_COLOR": "never"}


def tested(env: Callable[[Broker], dict[str, str]], *arguments: str) -> Callable[[Run], Outcome]:
    def run(run: Run) -> Outcome:
        command = ["cargo", "test", "--offline", "--no-fail-fast", *arguments]
        text, note = run.execute(command, {**environment(run.source), **env(run.broker)}, limit=900)
        return results.cargo(text, note)

    return run


def suite(name: str, env: Callable[[Broker], dict[str, str]], *arguments: str, **more: object) -> Suite:
    return Suite(name, crate(name), prepare(*arguments), tested(env, *arguments), **more)


SUITES = [
    suite("lapin", lambda broker: {"AMQP_ADDR": broker.full_url()}, alone=True),
    suite("amqprs", lambda broker: {}, "--all-targets", fixed_port=True, users=("user:bitnami",)),
]
