"""Reads what test runners print."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from .model import Outcome


def junit(report: Path, note: str = "") -> Outcome:
    """The XML that pytest, phpunit and others write."""
    outcome = Outcome(note=note)
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        outcome.note = note or "wrote no report"
        return outcome
    for case in cases:
        name = "::".join(filter(None, [case.get("classname"), case.get("name")]))
        if case.find("failure") is not None or case.find("error") is not None:
            # A test that failed, and failed to clean up, is one test.
            if name not in outcome.failed:
                outcome.failed.append(name)
        elif case.find("skipped") is not None:
            outcome.skipped += 1
        else:
            outcome.passed += 1
    return outcome


def cargo(text: str, note: str = "") -> Outcome:
    """`cargo test`, one line a test. What a test prints itself may stand between its name and its verdict."""
    outcome = Outcome(note=note)
    for total in re.finditer(r"^test result: \w+\. (\d+) passed; \d+ failed; (\d+) ignored", text, re.M):
        outcome.passed += int(total[1])
        outcome.skipped += int(total[2])
    for block in re.findall(r"^failures:\n((?:    \S.*\n)+)", text, re.M):
        outcome.failed += [line.strip() for line in block.splitlines()]
    if "error: could not compile" in text:
        outcome.note = "did not compile"
    elif not outcome.note and "test result:" not in text:
        outcome.note = "ran no test"
    return outcome


def go(text: str, note: str = "") -> Outcome:
    """`go test -json`; a test with subtests counts by its subtests."""
    verdicts: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("{"):
            event = json.loads(line)
            if "Test" in event and event["Action"] in ("run", "pass", "fail", "skip"):
                verdicts[event["Test"]] = event["Action"]
    outcome = Outcome(note=note or ("" if verdicts else "ran no test"))
    parents = {name.rsplit("/", depth)[0] for name in verdicts for depth in range(1, name.count("/") + 1)}
    for name, verdict in verdicts.items():
        if name in parents:
            continue
        # A test that was running when its program ended has failed.
        if verdict in ("fail", "run"):
            outcome.failed.append(name)
        elif verdict == "skip":
            outcome.skipped += 1
        else:
            outcome.passed += 1
    return outcome


def tap(text: str, note: str = "") -> Outcome:
    """The Test Anything Protocol, at its outermost level. A test that fails twice, cleaning up, is one test."""
    outcome = Outcome(note=note or ("" if re.search(r"^(not )?ok\b", text, re.M) else "ran no test"))
    for line in re.findall(r"^((?:not )?ok\b.*)$", text, re.M):
        if re.search(r"# *skip", line, re.I):
            outcome.skipped += 1
        elif line.startswith("not") and not re.search(r"# *todo", line, re.I):
            outcome.failed.append(re.sub(r"^not ok \d* *(- )?", "", line))
        else:
            outcome.passed += 1
    outcome.failed = list(dict.fromkeys(outcome.failed))
    return outcome
