"""Suites of Node.js clients: Node's own test runner."""

from . import results
from .model import Outcome, Run, Source, Suite
from .obtain import npm
from .shell import must


def prepare(source: Source) -> None:
    if not (source.folder / "node_modules").exists():
        log = source.work / "logs" / "prepare.txt"
        # `claire` makes up values for its tests.
        command = ["npm", "install", "--omit=dev", "--ignore-scripts", "--no-save", "claire@0.4.1"]
        must("npm install", command, source.folder, log)


def run(run: Run) -> Outcome:
    report = run.log("report.xml")
    report.unlink(missing_ok=True)
    command = ["node", "--test", "--test-timeout=60000", "--test-reporter=junit"]
    command += [f"--test-reporter-destination={report}", *sorted(run.source.folder.glob("test/*.test.js"))]
    _, note = run.execute(command)
    return results.junit(report, note)


SUITES = [
    # The newest whose package has its tests.
    Suite("amqplib", npm("amqplib", "2.2.0"), prepare, run, fixed_port=True),
]
