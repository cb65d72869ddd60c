"""What happened, told three times: as a line of the log, as an event on the control socket, as a failure in the status.

The engine's events are turned here into the words of `rhp.node.vocabulary`, with names and numbers as text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rhp.ike import events
from rhp.ike.errors import Fault
from rhp.node.log import EventLog
from rhp.node.selectors import format_selectors
from rhp.pki.identity import format_identity
from rhp.wire.identity import Identity

Fields = dict[str, object]
FAILURES_KEPT = 50
_FAILURES = frozenset({"authentication failed", "connecting failed", "handshake refused", "child failed", "ike closed"})
_CALLS = frozenset({"connecting", "connecting failed"})
_CONSEQUENCES = frozenset({"connecting failed", "handshake refused"})


class Journal:
    """Writes events down. `wall_clock` dates failures (aware, UTC); `publish` takes each event as plain data,
    while there is anybody who follows them, as `followed` says.

    `expected` names the peer that each connection expects, for failures before it has told its identity. From then on
    the lines about its IKE SA name the identity that it proved: of a connection for many peers they tell which one it
    was.
    """

    def __init__(
        self,
        log: EventLog,
        wall_clock: Callable[[], datetime],
        publish: Callable[[dict[str, Any]], None],
        expected: Mapping[str, str],
        followed: Callable[[], bool] = lambda: True,
    ) -> None:
        self._log = log
        self._wall_clock = wall_clock
        self._publish = publish
        self._followed = followed
        self._expected = expected
        self._proved: dict[int, object] = {}
        self._unproven: int | None = None
        self._failures: deque[dict[str, Any]] = deque(maxlen=FAILURES_KEPT)
        self.last_errors: dict[str, str] = {}
        self.counters: Counter[str] = Counter()

    def record(self, event: events.Event, **extra: object) -> None:
        """Write down one event of the engine."""
        words, fields = translate(event)
        if isinstance(event, events.IkeEstablished | events.IkeReauthenticated):
            self.last_errors.pop(event.connection, None)
            self._proved[event.ike_id] = fields["peer"]
        if not fields.get("peer") and not isinstance(event, events.HandshakeRefused):
            expected = self._expected.get(str(fields.get("connection", "")))
            fields["peer"] = self._proved.get(event.ike_id, expected)
        if isinstance(event, events.IkeClosed):
            self._proved.pop(event.ike_id, None)
        # A handshake that ends because nobody was authenticated was told in a line of its own, which said more.
        told = isinstance(event, events.HandshakeRefused) and event.ike_id == self._unproven
        if isinstance(event, events.AuthenticationFailed):
            self._unproven = event.ike_id
        self._note(words, {**fields, **extra}, logged=not told)

    def write(self, words: str, **fields: object) -> None:
        """Write down one event of the node itself."""
        if words in _CALLS and not fields.get("peer"):
            fields["peer"] = self._expected.get(str(fields.get("connection", "")))
        self._note(words, fields)

    def _note(self, words: str, fields: Fields, *, logged: bool = True) -> None:
        self.counters[words.replace(" ", "-")] += 1
        if logged:
            self._log.write(words, **fields)
        failed = words in _FAILURES and fields.get("fault") != "none"
        if not failed and not self._followed():
            return
        told = {name: _plain(value) for name, value in fields.items() if value not in (None, "")}
        if self._followed():
            self._publish({"event": words, "time": self._now(), **told})
        if failed:
            self._fail(words, told)

    def failures(self) -> list[dict[str, Any]]:
        """The recent failures, newest first, equal ones in a row joined with their `count`."""
        return [dict(failure) for failure in reversed(self._failures)]

    def _fail(self, words: str, fields: dict[str, Any]) -> None:
        last = self._failures[-1] if self._failures else {}
        if (
            words in _CONSEQUENCES
            and _same(last, fields, "connection", "detail")
            and last.get("event") not in (None, words)
        ):
            return  # The failure before this one is its cause, and said more.
        failure = {"event": words, **{name: value for name, value in fields.items() if name != "retry_in"}}
        if {name: value for name, value in last.items() if name not in ("time", "count")} == failure:
            last.update(time=self._now(), count=last["count"] + 1)
        else:
            self._failures.append({"time": self._now(), "count": 1, **failure})
        # Of what the configuration has no longer, and which only ends, nobody asks what went wrong last.
        if (connection := fields.get("connection", "")) in self._expected:
            parts = (words, fields.get("peer"), fields.get("detail") or fields.get("reason"))
            self.last_errors[connection] = ": ".join(str(part) for part in parts if part)

    def _now(self) -> str:
        return self._wall_clock().isoformat(timespec="milliseconds")


def translate(event: events.Event) -> tuple[str, Fields]:
    """The words and the fields of one event of the engine."""
    match event:
        case events.StateChanged(_, connection, old, new):
            return "ike state", {"connection": connection, "old": old, "new": new}
        case events.IkeEstablished():
            resumed = "yes" if event.resumed else None
            fields = _fields(event, "connection", "peer", "role", "path", "suite")
            return "ike established", {**fields, "resumed": resumed}
        case events.IkeRekeyed():
            return "ike rekeyed", _fields(event, "connection", "role", "suite")
        case events.IkeReauthenticated():
            return "ike reauthenticated", _fields(event, "connection", "peer", "role", "path", "suite")
        case events.IkeClosed():
            return "ike closed", _fields(event, "connection", "peer", "reason", "fault")
        case events.ChildEstablished(child_name=child):
            names = ("peer", "mode", "suite", "lane", "spi_in", "spi_out", "local_ts", "remote_ts")
            return "child established", _child_fields(event, child, *names)
        case events.ChildRekeyed(child_name=child):
            return "child rekeyed", _child_fields(event, child, "suite", "spi_in", "spi_out")
        case events.ChildClosed(child_name=child):
            return "child closed", _child_fields(event, child, "reason", "fault")
        case events.ChildFailed(child_name=child):
            return "child failed", _child_fields(event, child, "reason", "detail", "fault")
        case events.AuthenticationFailed():
            return "authentication failed", _fields(
                event, "connection", "peer", "role", "path", "reason", "detail", "fault"
            )
        case events.InitiationFailed():
            words = "connecting ended" if event.fault is Fault.NONE else "connecting failed"
            return words, _fields(event, "connection", "reason", "detail", "fault")
        case events.HandshakeRefused():
            return "handshake refused", _fields(event, "connection", "path", "reason", "detail")
        case events.PathChanged():
            return "path changed", _fields(event, "connection", "old", "new", "reason")
        case events.PathRefused():
            return "path refused", _fields(event, "connection", "path", "reason")
        case events.AddressLeased():
            return "address leased", _fields(event, "connection", "peer", "addresses")
        case events.LeaseEnded():
            return "lease ended", _fields(event, "connection", "peer", "addresses")
        case events.AddressesAssigned(assignment=given):
            told = {name: _text(name, getattr(given, name)) for name in ("addresses", "dns", "domains")}
            return "addresses assigned", {**_fields(event, "connection", "peer"), **told}
        case events.Redirected():
            return "redirected", {**_fields(event, "connection"), "old": str(event.gateway), "new": str(event.target)}
        case events.ExtensionNote():
            return "extension note", _fields(event, "connection", "peer", "extension", "detail")
        case events.EngineFault():
            return "engine fault", _fields(event, "detail")


def _child_fields(event: events.Event, child: str, *names: str) -> Fields:
    return {**_fields(event, "connection"), "child": child, **_fields(event, *names)}


def _fields(event: events.Event, *names: str) -> Fields:
    return {name: _text(name, getattr(event, name)) for name in names}


def _text(name: str, value: object) -> object:
    if isinstance(value, Identity):
        return format_identity(value)
    if name in ("spi_in", "spi_out") and isinstance(value, int):
        return f"{value:08x}"
    if name in ("local_ts", "remote_ts") and isinstance(value, tuple):
        return format_selectors(value)
    if name in ("addresses", "dns", "domains") and isinstance(value, tuple):
        return " ".join(map(str, value))
    if name == "fault":
        return getattr(value, "value", value)
    return value


def _same(one: Mapping[str, object], other: Mapping[str, object], *names: str) -> bool:
    return all(one.get(name) == other.get(name) for name in names)


def _plain(value: object) -> Any:  # noqa: ANN401  # Exactly what JSON can hold.
    return value if isinstance(value, str | int | float | bool) else str(value)
