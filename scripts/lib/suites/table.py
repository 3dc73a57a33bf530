"""Shows the outcomes: one line a suite, and below it the names of what failed."""

from dataclasses import dataclass

from .model import Outcome


@dataclass
class Row:
    suite: str
    version: str
    # One for each broker, in the order of the columns.
    outcomes: list[Outcome]

    def deviations(self) -> list[str]:
        """What failed on the first broker, and not on all of the others."""
        first, *others = self.outcomes
        return [name for name in first.failed if not others or any(name not in other.failed for other in others)]


def counts(outcome: Outcome) -> str:
    if outcome.note and not (outcome.passed or outcome.failed):
        return outcome.note
    text = f"{outcome.passed} passed, {len(outcome.failed)} failed, {outcome.skipped} skipped"
    return f"{text} ({outcome.note})" if outcome.note else text


def cells(outcome: Outcome) -> list[str]:
    if outcome.note and not (outcome.passed or outcome.failed):
        return ["-", "-", "-"]
    return [str(outcome.passed), str(len(outcome.failed)), str(outcome.skipped)]


def as_text(brokers: list[str], rows: list[Row]) -> str:
    heads = ["suite", "version"]
    lines = []
    for row in rows:
        lines.append([row.suite, row.version, *(cell for outcome in row.outcomes for cell in cells(outcome))])
    heads += ["passed", "failed", "skipped"] * len(brokers)
    widths = [max(map(len, column)) for column in zip(heads, *lines)]
    first = widths[0] + widths[1] + 2

    def laid(line: list[str]) -> str:
        left = [cell.ljust(width) for cell, width in zip(line[:2], widths)]
        return "  ".join(left + [cell.rjust(width) for cell, width in zip(line[2:], widths[2:])])

    spans = [sum(widths[2 + 3 * at : 5 + 3 * at]) + 4 for at in range(len(brokers))]
    title = "  ".join([" " * first, *(name[:span].center(span) for name, span in zip(brokers, spans))])
    return "\n".join([title.rstrip(), laid(heads), *map(laid, lines), *remarks(brokers, rows)])


def remarks(brokers: list[str], rows: list[Row]) -> list[str]:
    """What failed and where, and why there is no outcome."""
    failures: dict[tuple[str, str], list[str]] = {}
    notes: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for broker, outcome in zip(brokers, row.outcomes):
            for name in outcome.failed:
                failures.setdefault((row.suite, name), []).append(broker)
            if outcome.note:
                notes.setdefault((row.suite, outcome.note), []).append(broker)
    lines = []
    for (suite, name), where in failures.items():
        lines.append(f"failed  {suite}: {name}  [{', '.join(where)}]")
    for (suite, note), where in notes.items():
        lines.append(f"note    {suite}: {note}  [{', '.join(where)}]")
    return ["", *lines] if lines else []


def as_json(brokers: list[str], rows: list[Row]) -> list[dict]:
    return [
        {
            "suite": row.suite,
            "version": row.version,
            "deviations": row.deviations(),
            "brokers": {
                name: {
                    "passed": outcome.passed,
                    "failed": outcome.failed,
                    "skipped": outcome.skipped,
                    "note": outcome.note,
                }
                for name, outcome in zip(brokers, row.outcomes)
            },
        }
        for row in rows
    ]
