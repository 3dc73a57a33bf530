"""What was found, as a table or as JSON."""

import dataclasses
import os
import platform
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Findings:
    rabbitmq: str
    prefetch: int
    contestants: list
    runs: dict
    missing: dict

    def as_json(self) -> dict:
        return {
            "machine": machine(),
            "rabbitmq": self.rabbitmq,
            "prefetch": self.prefetch,
            "contestants": {
                contestant.name: {
                    "settings": contestant.settings,
                    "missing": self.missing.get(contestant.name),
                    "runs": [dataclasses.asdict(run) for run in self.runs[contestant.name]],
                }
                for contestant in self.contestants
            },
        }

    def as_table(self) -> str:
        lines = [
            f"{machine()}, RabbitMQ {self.rabbitmq}, prefetch {self.prefetch} where not said otherwise. Medians of the rounds, which follow "
            "in brackets. CPU is that of all the contestant's processes, with their start; the broker's is not in it.",
            "",
            "| | tasks | queue | enqueued/s | run/s | CPU to enqueue, µs a task | CPU to run, µs a task | MiB enqueuer | MiB worker | ran | twice | left |",
            "|---|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
            *(self.row(contestant) for contestant in self.contestants),
            "",
            *(f"- **{contestant.name}**: {contestant.settings}" for contestant in self.contestants),
        ]
        notes = [f"- {name}: {note}" for name, runs in self.runs.items() for run in runs for note in run.notes]
        return "\n".join([*lines, *(["", "Incomplete:", *notes] if notes else [])])

    def row(self, contestant) -> str:
        name, runs = contestant.name, self.runs[contestant.name]
        if name in self.missing:
            return f"| {name} | {self.missing[name]} |" + " |" * 10
        enqueued, worked = [run.enqueued for run in runs], [run.worked for run in runs]
        cells = [
            name,
            together(run.tasks for run in runs),
            together(run.queue for run in runs),
            middle(run.rates()[0] for run in runs),
            middle(run.rates()[1] for run in runs),
            middle((part.cpu_seconds * 1e6 / run.tasks if part else None for run, part in zip(runs, enqueued)), decimals=1),
            middle((part.cpu_seconds * 1e6 / run.ran if part and run.ran else None for run, part in zip(runs, worked)), decimals=1),
            middle(part.peak_mib if part else None for part in enqueued),
            middle(part.peak_mib if part else None for part in worked),
            together(run.ran for run in runs),
            together(run.twice for run in runs),
            together(run.left for run in runs),
        ]
        return "| " + " | ".join(cells) + " |"


def machine() -> str:
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{os.cpu_count()} cores ({models[0] if models else platform.machine()})"


def together(values) -> str:
    """One for all rounds when they agree."""
    distinct = list(dict.fromkeys(map(str, values)))
    return ", ".join(distinct)


def middle(values, decimals: int = 0) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "–"

    def text(value: float) -> str:
        return f"{value:,.{decimals}f}".replace(",", " ")

    each = ", ".join(map(text, known))
    return f"{text(median(known))} ({each})" if len(known) > 1 else each
