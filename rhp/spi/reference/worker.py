"""The one thread: it waits for all queues and sockets at once, and gives each a bounded turn."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Sequence

from rhp.spi.reference.links import Socket, TapQueue
from rhp.spi.reference.traffic import Traffic

TURN = 64
"""Packets of one descriptor in a row."""


class Worker:
    """Reads what comes and hands it to `traffic`, one packet after the other under its lock."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._selector = selectors.DefaultSelector()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._thread: threading.Thread | None = None
        self._spent = 0
        self._stopping = False

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._thread is not None

    def serve_tap(self, lane: int, hub: int, tap: TapQueue) -> None:
        """Read a queue from now on; while it runs, too."""
        with self._traffic.lock:
            self._traffic.give_tap(lane, hub, tap)
            self._selector.register(tap.fd, selectors.EVENT_READ, self._tap_turn(lane, hub, tap))
        os.eventfd_write(self._wake, 1)

    def serve_sockets(self, lane: int, sockets: Sequence[Socket]) -> None:
        """Read these from now on; while it runs, too."""
        with self._traffic.lock:
            self._traffic.give_sockets(sockets)
            for one in sockets:
                self._selector.register(one.sock, selectors.EVENT_READ, self._socket_turn(lane, one))
        os.eventfd_write(self._wake, 1)

    def leave(self, tap: TapQueue) -> None:
        """Read a queue no longer, and close it; while it runs, too."""
        with self._traffic.lock:
            self._forget(tap.fd)
            tap.close()

    def _forget(self, fd: int) -> None:
        # One that was lost has been forgotten before.
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(fd)

    def start(self, cpus: Sequence[int]) -> None:
        """Begin."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, args=(tuple(cpus),), name="rhp-reference", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and let go of the descriptors, which stay open. Safe twice."""
        if self._thread is not None:
            self._stopping = True
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            self._thread = None
        for fd, key in list((self._selector.get_map() or {}).items()):
            if key.data is not None:
                self._selector.unregister(fd)

    def close(self) -> None:
        """Give its own descriptors back."""
        self._selector.close()
        os.close(self._wake)

    def spent_ns(self) -> int:
        """The processor time of the thread, of those that ended and of this one."""
        thread = self._thread
        if thread is None or thread.ident is None:
            return self._spent
        with contextlib.suppress(OSError):
            return self._spent + time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
        return self._spent

    def _run(self, cpus: tuple[int, ...]) -> None:
        if cpus:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, cpus)
        while not self._stopping:
            for key, _ in self._selector.select():
                if key.data is None:
                    with contextlib.suppress(BlockingIOError):
                        os.eventfd_read(self._wake)
                else:
                    self._turn(key.data)
        self._spent += time.thread_time_ns()

    def _turn(self, turn: Callable[[], None]) -> None:
        """One descriptor's turn; a mistake of ours with one packet must not take the others along."""
        try:
            turn()
        except Exception:
            self._traffic.count(0, "steps-failed")

    def _tap_turn(self, lane: int, hub: int, tap: TapQueue) -> Callable[[], None]:
        """A queue that was closed meanwhile is not read: its number may be another one's by now."""

        def turn() -> None:
            for _ in range(TURN):
                with self._traffic.lock:
                    if tap.closed:
                        break
                    try:
                        frame = tap.read()
                    except OSError as error:
                        self._traffic.lost_tap(lane, hub, error.errno or 0)
                        self._forget(tap.fd)
                        break
                    if frame is None:
                        break
                    self._traffic.from_tap(lane, hub, frame)

        return turn

    def _socket_turn(self, lane: int, link: Socket) -> Callable[[], None]:
        """A socket stays, whatever its last packet met (an ICMP error is read like one)."""

        def turn() -> None:
            for _ in range(TURN):
                try:
                    found = link.receive()
                except OSError:
                    self._traffic.count(lane, "receive-errors")
                    break
                if found is None:
                    break
                self._traffic.from_peer(lane, *found, raw=link.raw)

        return turn
