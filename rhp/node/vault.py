"""The vault on disk: what the engine's tokens and tickets need to outlive the node, in one small file.

`vault.json` in node.state_dir has mode 0600 and is replaced as a whole. A ticket key seals for twelve hours and opens
for twelve more, so that a ticket given in its last moment lives as long as any; then it is forgotten, and what was
sealed with it cannot be opened by anybody any more. Two nodes with one vault would betray each other's tokens, so the
folder is locked, and who comes second does not start.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rhp.crypto.secret import Secret
from rhp.guard.keyfile import read_secret_file
from rhp.ike.vault import KEY_NAME_OCTETS, SECRET_OCTETS, TicketKey, Vault
from rhp.node.journal import Journal
from rhp.node.state.lock import lock_folder

NAME = "vault.json"
SEALS_FOR = 12 * 3600
OPENS_FOR = 2 * SEALS_FOR
LOOK_AGAIN = 600.0
_VERSION = 1
_SKEW = 3600


@dataclass(frozen=True, slots=True)
class _Entry:
    key: TicketKey
    made: int


class NodeVault:
    """Opens the vault, renews its ticket keys while the node runs, and writes it down."""

    def __init__(self, folder: Path, wall_clock: Callable[[], datetime], journal: Journal) -> None:
        self._folder = folder
        self._wall_clock = wall_clock
        self._journal = journal
        self._crash = Secret(os.urandom(SECRET_OCTETS))
        self._entries: list[_Entry] = []
        self._lock: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> Vault:
        """Read the vault, or make one. What cannot be read or written is told, and lives in memory instead.

        Raises `StartError` where another node has the folder.
        """
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock_folder(self._folder)
            self._read()
        except OSError as error:
            self._refused(error)
        except ValueError as error:
            self._tell(str(error))
        self.renew()
        return self._vault()

    @property
    def fingerprint_key(self) -> bytes:
        """What the guard's fingerprints are keyed with; it outlives the node, as the tickets do that they go into."""
        return hmac.digest(self._crash.expose(), b"fingerprints of the secrets behind tickets", "sha256")

    def start(self, loop: asyncio.AbstractEventLoop, changed: Callable[[Vault], None]) -> None:
        """Look from time to time whether a key has had its time."""

        def look() -> None:
            if self.renew():
                changed(self._vault())
            self._timer = loop.call_later(LOOK_AGAIN, look)

        self._timer = loop.call_later(LOOK_AGAIN, look)

    def close(self) -> None:
        """Stop and let another node have the file. Safe twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._lock is not None:
            os.close(self._lock)
        self._timer = self._lock = None

    def renew(self) -> bool:
        """Make a new ticket key where the newest has sealed long enough, drop the old ones; whether anything changed.

        A key from the future was made by a wrong clock, and nobody knows how old it is.
        """
        now = int(self._wall_clock().timestamp())
        kept = [entry for entry in self._entries if -_SKEW <= now - entry.made < OPENS_FOR]
        if not kept or now - kept[0].made >= SEALS_FOR:
            key = TicketKey(os.urandom(KEY_NAME_OCTETS), Secret(os.urandom(SECRET_OCTETS)))
            kept.insert(0, _Entry(key, now))
        if kept == self._entries:
            return False
        for entry in self._entries:
            if entry not in kept:
                entry.key.secret.wipe()
        self._entries = kept
        self._write()
        return True

    def _vault(self) -> Vault:
        return Vault(self._crash, tuple(entry.key for entry in self._entries))

    def _read(self) -> None:
        path = self._folder / NAME
        if not path.exists():
            return  # The first start.
        try:
            found = json.loads(read_secret_file(str(path)))
            if found["version"] != _VERSION:
                raise ValueError
            crash, entries = _secret(found["crash"]), [_entry(one) for one in found["tickets"]]
        except (KeyError, TypeError, RecursionError, ValueError) as error:
            told = str(error) if str(path) in str(error) else f"{path} holds no vault; it is made anew"
            raise ValueError(told) from None
        self._crash, self._entries = crash, sorted(entries, key=lambda entry: entry.made, reverse=True)

    def _write(self) -> None:
        if self._lock is None:
            return
        tickets = [
            {"name": one.key.name.hex(), "key": one.key.secret.expose().hex(), "made": one.made}
            for one in self._entries
        ]
        content = {"version": _VERSION, "crash": self._crash.expose().hex(), "tickets": tickets}
        try:
            _replace(self._folder / NAME, json.dumps(content).encode())
        except OSError as error:
            self._refused(error)

    def _refused(self, error: OSError) -> None:
        what = f"{error.filename or self._folder}: {error.strerror or error}"
        self._tell(f"{what}; make room there, or write a node.state_dir that the node can write to")

    def _tell(self, detail: str) -> None:
        self._journal.write("vault unusable", detail=detail)


def _secret(text: str) -> Secret:
    octets = bytes.fromhex(text)
    if len(octets) != SECRET_OCTETS:
        raise ValueError
    return Secret(octets)


def _entry(value: dict[str, object]) -> _Entry:
    name, made = bytes.fromhex(str(value["name"])), value["made"]
    if len(name) != KEY_NAME_OCTETS or type(made) is not int:
        raise ValueError
    return _Entry(TicketKey(name, _secret(str(value["key"]))), made)


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that a crash leaves either the old one or the new one, and nobody else can read it."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
