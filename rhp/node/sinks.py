"""Event sinks at work: each has a thread and a bounded queue, so none of them can hold up or harm the node.

`publish` puts an event into every queue and returns. What finds a queue full is dropped and counted; what a sink raises
is counted, and after `MOST_FAILURES` in a row the sink is let go, with one line of the log. Everything that is somebody
else's code runs in the sink's thread, its opening and closing as well. The counters stand in `rhp status`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rhp.spi.events import Event, EventSink, EventSinkProvider, SinkPlace

MOST_WAITING = 1000
MOST_FAILURES = 10
CLOSE_SECONDS = 1.0

Tell = Callable[[str, str], None]
"""Takes the sink's name and why it was let go, as a sentence."""


class Sink:
    """One sink. `tell` is called in its thread when it is let go."""

    def __init__(self, place: SinkPlace, provider: EventSinkProvider, tell: Tell) -> None:
        self.name = place.name
        self.working = True
        self.counters: Counter[str] = Counter(taken=0, dropped=0, failed=0)
        self._place, self._provider, self._tell = place, provider, tell
        self._waiting: queue.Queue[Event | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name=f"rhp-sink-{place.name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Have it take the event when it comes to it; never waits."""
        if not self.working:
            return
        try:
            self._waiting.put_nowait(event)
        except queue.Full:
            self.counters["dropped"] += 1

    def end(self) -> None:
        """Have it close when it has taken what waits."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self.working = False  # It is so late that it need not be waited for.

    def join(self, seconds: float) -> bool:
        """Wait for its end; False where it goes on, which is nobody's concern then."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            sink = self._provider.open(self._place)
        except Exception as error:
            self._let_go(f"it cannot be opened ({_what(error)})")
            return
        try:
            self._take_all(sink)
        finally:
            try:
                sink.close()
            except Exception:
                self.counters["failed"] += 1

    def _take_all(self, sink: EventSink) -> None:
        failures = 0
        while self.working and (event := self._waiting.get()) is not None:
            try:
                sink.take(event)
            except Exception as error:
                failures += 1
                self.counters["failed"] += 1
                if failures == MOST_FAILURES:
                    self._let_go(f"it failed {failures} times in a row ({_what(error)})")
            else:
                failures = 0
                self.counters["taken"] += 1

    def _let_go(self, why: str) -> None:
        self.working = False
        self._tell(self.name, why)


class Sinks:
    """The sinks of one node: those of the providers of `node.event_sinks`, by name.

    `on_let_go` is called in the loop's thread, once for a sink.
    """

    def __init__(
        self, providers: Mapping[str, EventSinkProvider], state_dir: Path, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.on_let_go: Tell | None = None
        self._loop = loop
        self._untold: list[tuple[str, str]] = []
        self._sinks = [Sink(SinkPlace(name, state_dir), one, self._tell) for name, one in providers.items()]

    @property
    def working(self) -> bool:
        """Whether any sink still takes events."""
        return any(one.working for one in self._sinks)

    def beside(self, publish: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        """`publish`, and every sink."""
        if not self._sinks:
            return publish

        def both(event: dict[str, Any]) -> None:
            publish(event)
            for one in self._sinks:
                one.put(dict(event))

        return both

    def listen(self, on_let_go: Tell) -> None:
        """Have `on_let_go` told of each sink that is let go, also of those that were so already."""
        self.on_let_go = on_let_go
        untold, self._untold = self._untold, []
        for name, why in untold:
            on_let_go(name, why)

    def counters(self) -> dict[str, int]:
        """ "sink-NAME-taken", "-dropped" and "-failed" of each."""
        return {f"sink-{one.name}-{what}": number for one in self._sinks for what, number in one.counters.items()}

    def dropped(self) -> dict[str, int]:
        """How many events found a sink's queue full, by its name."""
        return {one.name: one.counters["dropped"] for one in self._sinks}

    async def close(self) -> None:
        """Let them take what waits and close; whoever needs longer than `CLOSE_SECONDS` is left behind."""
        for one in self._sinks:
            one.end()
        end = self._loop.time() + CLOSE_SECONDS
        for one in self._sinks:
            await asyncio.to_thread(one.join, max(0.0, end - self._loop.time()))

    def _tell(self, name: str, why: str) -> None:
        try:
            self._loop.call_soon_threadsafe(self._told, name, why)
        except RuntimeError:
            return  # The loop has ended, and with it the log.

    def _told(self, name: str, why: str) -> None:
        if self.on_let_go is None:
            self._untold.append((name, why))
        else:
            self.on_let_go(name, why)


def _what(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
