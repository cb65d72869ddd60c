"""What the guard is told once, at its start: which secrets belong to whom, and which interfaces are ours.

Plain data, so that it can travel to a process of its own. A question is allowed only when something here covers it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PskSecret:
    """A pre-shared key of one connection, for the identities that fit the two patterns ("%any", exact, "*@x", "*.x").

    Exactly one of `key` (the octets) and `file` (an absolute path) is given; a file must not be readable by others.
    """

    connection: str
    local_id: str = "%any"
    remote_id: str = "%any"
    key: bytes | None = field(default=None, repr=False)
    file: str | None = None


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """The private key of one connection: PEM in `pem`, or in the file at the absolute path `file`.

    `rsa_pss` makes an RSA key sign with PSS where the peer knows RFC 7427; some clients read PKCS#1 v1.5 only.
    """

    connection: str
    pem: bytes | None = field(default=None, repr=False)
    file: str | None = None
    rsa_pss: bool = False


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """Everything the guard allows; `bridges` are the bridges that an interface of ours may join."""

    psks: tuple[PskSecret, ...] = ()
    keys: tuple[PrivateKey, ...] = ()
    interfaces: tuple[str, ...] = ("rhp0",)
    bridges: tuple[str, ...] = ()
