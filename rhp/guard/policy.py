"""What the guard is told once, at its start: which secrets belong to whom, and which interfaces are ours.

Plain data, so that it can travel to a process of its own. A question is allowed only when something here covers it.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PskSecret:
    """A pre-shared key of one connection, for the identities that fit the two patterns ("%any", exact, "*@x", "*.x").

    Exactly one of `key` (the octets) and `file` (an absolute path) is given; a file must not be readable by others.
    Where only one side of a connection proves itself by it, the guard does not make (`proves`) or check (`checks`) the
    other side's proof.
    """

    connection: str
    local_id: str = "%any"
    remote_id: str = "%any"
    key: bytes | None = field(default=None, repr=False)
    file: str | None = None
    proves: bool = True
    checks: bool = True


@dataclass(frozen=True, slots=True)
class PpkSecret:
    """A post-quantum preshared key of one connection (RFC 8784) and its name; `key` or `file` as in `PskSecret`."""

    connection: str
    ppk_id: bytes
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
class FirewallPolicy:
    """What IP forwarding does for the tunnels; the networks are texts such as "10.88.0.0/24"."""

    forward: bool = False
    masquerade: tuple[str, ...] = ()
    isolate: bool = False

    @property
    def tabled(self) -> bool:
        """Whether it takes a table of nftables."""
        return bool(self.masquerade) or self.isolate

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return self.forward or self.tabled


@dataclass(frozen=True, slots=True)
class HookPolicy:
    """A program to run at events: its absolute path and arguments, and the seconds that it has.

    It runs as `user`, or as root where it is `privileged`.
    """

    on: tuple[str, ...]
    command: tuple[str, ...]
    timeout: float = 10.0
    privileged: bool = False
    user: str = "nobody"


@dataclass(frozen=True, slots=True)
class GuardPolicy:
    """Everything the guard allows; `bridges` are the bridges that an interface of ours may join.

    `assigned` allows addresses and name servers that a peer assigned to us; the original of `resolv_conf`, where that
    is written, is kept in the folder `state_dir` meanwhile, which nobody else may write to. `resolved` is there while
    systemd-resolved runs.

    `addresses` are those that an interface of ours gets from the configuration, `ports` the UDP ports, and `reach` the
    networks that routes may lead into, or into a part of; `queue_lengths` and `segments` are those of its interfaces.
    None is any. `lanes` is how many there may ever be.
    `by_station` has the frames to one station keep to one queue of the TAP.
    """

    psks: tuple[PskSecret, ...] = ()
    keys: tuple[PrivateKey, ...] = ()
    ppks: tuple[PpkSecret, ...] = ()
    interfaces: tuple[str, ...] = ("rhp0",)
    bridges: tuple[str, ...] = ()
    assigned: bool = False
    resolv_conf: str = "/etc/resolv.conf"
    resolved: str = "/run/systemd/resolve"
    state_dir: str = "/var/lib/rhp"
    addresses: tuple[str, ...] | None = None
    ports: tuple[int, ...] | None = None
    reach: tuple[str, ...] | None = None
    queue_lengths: tuple[int, ...] | None = None
    segments: tuple[int, ...] | None = None
    lanes: int = 64
    by_station: bool = False
    firewall: FirewallPolicy = FirewallPolicy()
    hooks: tuple[HookPolicy, ...] = ()
