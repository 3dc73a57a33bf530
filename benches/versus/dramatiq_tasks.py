"""Dramatiq in the comparison of `scripts/versus-tasks`: publisher confirms, acknowledged when done; it knows no quorum queues."""

import bench
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

dramatiq.set_broker(RabbitmqBroker(url=bench.URL, confirm_delivery=True))
marks = bench.marks()


@dramatiq.actor
def count(number):
    marks[number] += 1


if __name__ == "__main__":
    bench.enqueue(count.send)
