"""Suites of Perl clients: each test program on its own, for a verdict a line."""

from . import results
from .model import Outcome, Run, Source, Suite
from .obtain import debian, packages


def prepare(source: Source) -> None:
    packages("perl", "libanyevent-rabbitmq-perl", "libtest-exception-perl")


def run(run: Run) -> Outcome:
    programs = [path.relative_to(run.source.folder) for path in sorted(run.source.folder.glob("xt/0[456]*.t"))]
    outcome = Outcome()
    for program in programs:
        text, note = run.execute(["perl", "-Ilib", program], limit=120)
        ended = results.tap(text, note)
        ended.failed = [f"{program.name}: {name}" for name in ended.failed]
        outcome.merge(ended)
    return outcome


SUITES = [
    Suite("AnyEvent-RabbitMQ", debian("libanyevent-rabbitmq-perl"), prepare, run, fixed_port=True),
]
