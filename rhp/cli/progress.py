"""The line that tells how far a tunnel is, while it comes up."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rhp.cli.table import plain
from rhp.node.control.client import Session, ask
from rhp.node.control.protocol import Request

_FAILURES = frozenset({"authentication failed", "connecting failed", "child failed"})
_STEPS = {
    "connecting": "calling {peer}",
    "ike state": "{new}",
    "ike established": "{peer} is authenticated; waiting for the tunnel",
    "redirected": "sent on to {new}",
}


class Failed(Exception):
    """The tunnel did not come up; the message says why."""


def bring_up(socket: Path, connection: str, timeout: float, *, live: bool) -> str:
    """Ask for the connection and wait until it carries traffic; what came of it, for people.

    With `live` the steps are shown on one line of standard error. Raises `Failed`, or `ControlError` as `ask`.
    """
    began = time.monotonic()
    line = _Line(live)
    with Session(socket) as session:
        # Following comes first, so that nothing happens unseen.
        _, events = session.follow(Request("events"))
        stood = _stands(ask(socket, Request("peers", {"connection": connection})))
        ask(socket, Request("initiate", {"connection": connection}))
        if stood:
            return "is up already"
        try:
            while True:
                left = began + timeout - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                session.patience(left)
                event = next(events, None)
                if event is None:
                    raise Failed("the node has ended")
                if event.get("connection") != connection:
                    continue
                if event["event"] == "child established":
                    return f"is up with {plain(str(event.get('peer')))} after {time.monotonic() - began:.2f} s"
                if event["event"] in _FAILURES:
                    raise Failed(_reason(event))
                line.show(connection, event)
        except TimeoutError:
            raise Failed(f"not up after {timeout:g} s; the node goes on trying, and rhp log tells how") from None
        finally:
            line.clear()


def _stands(peers: Mapping[str, Any]) -> bool:
    return any(one["tunnels"] and one["state"] != "deleting" for one in peers["peers"])


def _reason(event: Mapping[str, Any]) -> str:
    why = event.get("detail") or str(event.get("reason", "")).replace("-", " ")
    return plain(f"{event['event']}: {why}" if why else str(event["event"]))


class _Line:
    """One line that is written over; silent unless somebody looks on."""

    def __init__(self, live: bool) -> None:
        self._live = live
        self._shown = 0

    def show(self, connection: str, event: Mapping[str, Any]) -> None:
        step = _STEPS.get(str(event["event"]))
        if not self._live or step is None:
            return
        text = plain(f"{connection}: " + step.format_map(_Known(event)))
        sys.stderr.write("\r" + text.ljust(self._shown))
        sys.stderr.flush()
        self._shown = max(self._shown, len(text))

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r" + " " * self._shown + "\r")
            sys.stderr.flush()


class _Known(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "the peer"
