"""Celery in the comparison of `scripts/versus-tasks`.

BENCH_CELERY is `defaults`, or `safe`: quorum queues, publisher confirms, acknowledged when done, as the others here.
"""

import os

import bench
from celery import Celery

app = Celery("bench", broker=bench.URL)
if os.environ["BENCH_CELERY"] == "safe":
    app.conf.update(
        broker_transport_options={"confirm_publish": True},
        task_acks_late=True,
        task_default_queue_type="quorum",
        # The default number of processes: one for each core.
        worker_prefetch_multiplier=bench.PREFETCH // (os.cpu_count() or 1),
    )

marks = bench.marks()


@app.task(name="count")
def count(number):
    marks[number] += 1
    return number


if __name__ == "__main__":
    bench.enqueue(count.delay)
