"""From samples to the text that Prometheus reads, written by its client library.

The loop serves peers while this goes on: the text is made a metric at a time, at most once a second however many ask,
and everybody who asks meanwhile gets the same text.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from rhp.node.metrics.counts import Counts
from rhp.node.metrics.families import FAMILIES, SETUP_BUCKETS, Family
from rhp.node.metrics.reading import MetricSources, Reading, Samples, read

FRESH_SECONDS = 1.0
"""For so long a text is given again."""


class Exporter:
    """Makes the text. `scrapes` counts requests by what became of them; the server adds to it."""

    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources
        self._loop = asyncio.get_running_loop()
        # Bound to no registry: only `_make` asks it.
        self._process = ProcessCollector(registry=None)
        self._making: asyncio.Task[bytes] | None = None
        self._text = b""
        self._made_at: float | None = None
        self._spent = Spent()
        self.scrapes: dict[str, int] = dict.fromkeys(("answered", "refused", "bad", "slow"), 0)

    async def text(self) -> bytes:
        """The text of this second."""
        if self._made_at is not None and self._loop.time() - self._made_at < FRESH_SECONDS:
            return self._text
        if self._making is None or self._making.done():
            self._making = self._loop.create_task(self._make(), name="rhp-metrics")
        # Who asked may hang up; others may wait for the same text.
        return await asyncio.shield(self._making)

    def close(self) -> None:
        """Make no text any more."""
        if self._making is not None:
            self._making.cancel()

    async def _make(self) -> bytes:
        sources, spent = self._sources, Spent()
        await sources.certificates.learn(sources.connections())
        with spent:
            reading = read(sources)
            self._about_itself(reading)
        parts = []
        families = _families(reading, sources.counts)
        while True:
            await asyncio.sleep(0)
            with spent:
                family = next(families, None)
                if family is None:
                    break
                parts.append(generate_latest(_Single(family)))
        for family in self._process.collect():
            parts.append(generate_latest(_Single(family)))
        self._text, self._made_at, self._spent = b"".join(parts), self._loop.time(), spent
        return self._text

    def _about_itself(self, reading: Reading) -> None:
        for result, count in self.scrapes.items():
            reading.put("rhp_scrapes_total", count, result)
        reading.put("rhp_scrape_loop_seconds", self._spent.total, "total")
        reading.put("rhp_scrape_loop_seconds", self._spent.longest, "longest")


class Spent:
    """How long the loop was kept: `total` over all steps, and the `longest` of them, in seconds of processor time."""

    def __init__(self) -> None:
        self.total = self.longest = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.thread_time()

    def __exit__(self, *_: object) -> None:
        took = time.thread_time() - self._began
        self.total += took
        self.longest = max(self.longest, took)


class _Single(Collector):
    """One family as the library's writer wants it."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> list[Metric]:
        return [self._family]


def _families(reading: Reading, counts: Counts) -> Iterator[Metric]:
    for family in FAMILIES.values():
        if family.kind == "histogram":
            yield _histogram(family, counts)
        else:
            yield _plain(family, reading.samples[family.name])


def _plain(family: Family, samples: Samples) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    made = kind(family.name, family.meaning, labels=family.labels)
    made.samples = [
        Sample(family.name, dict(zip(family.labels, labels, strict=True)), value) for labels, value in samples
    ]
    return made


def _histogram(family: Family, counts: Counts) -> Metric:
    made = HistogramMetricFamily(family.name, family.meaning)
    bounds = [*map(str, SETUP_BUCKETS), "+Inf"]
    made.add_metric([], list(zip(bounds, accumulate(counts.setups), strict=True)), counts.setup_seconds)
    return made
