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

    def serve(self, lane: int, tap: TapQueue | None, sockets: Sequence[Socket]) -> None:
        """Read these from now on; while it runs, too."""
        with self._traffic.lock:
            self._traffic.give(lane, tap, sockets)
            if tap is not None:
                self._selector.register(tap.fd, selectors.EVENT_READ, self._tap_turn(lane, tap))
            for one in sockets:
                self._selector.register(one.sock, selectors.EVENT_READ, self._socket_turn(lane, one))
        os.eventfd_write(self._wake, 1)

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
        for fd, key in list(self._selector.get_map().items()):
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
                elif not key.data():
                    self._selector.unregister(key.fileobj)
        self._spent += time.thread_time_ns()

    def _tap_turn(self, lane: int, tap: TapQueue) -> Callable[[], bool]:
        """Whether the queue is still there."""

        def turn() -> bool:
            for _ in range(TURN):
                try:
                    frame = tap.read()
                except OSError as error:
                    self._traffic.lost_tap(lane, error.errno or 0)
                    return False
                if frame is None:
                    break
                self._traffic.from_tap(lane, frame)
            return True

        return turn

    def _socket_turn(self, lane: int, link: Socket) -> Callable[[], bool]:
        """A socket stays, whatever its last packet met (an ICMP error is read like one)."""

        def turn() -> bool:
            for _ in range(TURN):
                try:
                    found = link.receive()
                except OSError:
                    self._traffic.count(lane, "receive-errors")
                    break
                if found is None:
                    break
                self._traffic.from_peer(lane, *found, raw=link.raw)
            return True

        return turn
