"""strongSwan's two configuration files, written from parameters.

Its parser is strict: one setting per line, one brace per line. A section is a mapping; a value is a string, a number, a
truth, or a list (written with commas).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Value = str | int | bool | Sequence[str]
Section = Mapping[str, "Value | Section"]

PLUGINS = (
    "random nonce openssl pem pkcs1 pkcs8 x509 pubkey constraints revocation kernel-libipsec kernel-netlink "
    "socket-default vici updown hmac kdf curve25519 chapoly gcm ccm ctr aes sha1 sha2 fips-prf"
)


def render(section: Section, depth: int = 0) -> str:
    """Text of a section's settings and sub-sections."""
    lines: list[str] = []
    indent = "  " * depth
    for key, value in section.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key} {{", render(value, depth + 1), f"{indent}}}"]
        elif isinstance(value, bool):
            lines.append(f"{indent}{key} = {'yes' if value else 'no'}")
        elif isinstance(value, str | int):
            lines.append(f"{indent}{key} = {value}")
        else:
            lines.append(f"{indent}{key} = {', '.join(value)}")
    return "\n".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class SwanAuth:
    """How one end proves itself: a PSK, or certificates (`certs`: its chain, `cas`: whom to trust)."""

    identity: str
    method: str = "psk"
    certs: tuple[Path, ...] = ()
    cas: tuple[Path, ...] = ()

    def section(self) -> Section:
        """The `local` or `remote` section."""
        parts: dict[str, Value | Section] = {"auth": self.method, "id": self.identity}
        if self.certs:
            parts["certs"] = [str(path) for path in self.certs]
        if self.cas:
            parts["cacerts"] = [str(path) for path in self.cas]
        return parts


@dataclass(frozen=True, slots=True)
class SwanChild:
    """A Child SA in tunnel mode; times are strongSwan's ("1h", 0 for never)."""

    name: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    esp_proposals: str = "aes128gcm16"
    rekey_time: str = "0"
    start_action: str = "none"
    settings: Mapping[str, Value] = field(default_factory=dict)

    def section(self) -> Section:
        """The section below `children`."""
        return {
            "local_ts": self.local_ts,
            "remote_ts": self.remote_ts,
            "esp_proposals": self.esp_proposals,
            "rekey_time": self.rekey_time,
            "start_action": self.start_action,
            **self.settings,
        }


@dataclass(frozen=True, slots=True)
class SwanConnection:
    """One connection of `swanctl.conf`; `psk` and `key` land among the secrets, `settings` override anything."""

    name: str
    local_addr: str
    remote_addr: str
    local: SwanAuth
    remote: SwanAuth
    children: tuple[SwanChild, ...]
    proposals: str = "aes128gcm16-prfsha256-x25519"
    psk: str | None = None
    key: Path | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)

    def section(self) -> Section:
        """The section below `connections`."""
        return {
            "version": 2,
            "local_addrs": self.local_addr,
            "remote_addrs": self.remote_addr,
            "proposals": self.proposals,
            "rekey_time": "0",
            "mobike": False,
            **self.settings,
            "local": self.local.section(),
            "remote": self.remote.section(),
            "children": {child.name: child.section() for child in self.children},
        }


def swanctl_conf(connections: Sequence[SwanConnection]) -> str:
    """`swanctl.conf` for these connections, their PSKs among the secrets (keys are found by their folder)."""
    secrets = {
        f"ike-{connection.name}": {
            "id-1": connection.local.identity,
            "id-2": connection.remote.identity,
            "secret": f'"{connection.psk}"',
        }
        for connection in connections
        if connection.psk is not None
    }
    sections = {"connections": {connection.name: connection.section() for connection in connections}}
    return render({**sections, "secrets": secrets}) + "\n"


def strongswan_conf(vici: Path, log: Path, settings: Mapping[str, Value] | None = None) -> str:
    """`strongswan.conf` of a charon that does ESP in user space and talks to swanctl at `vici`."""
    charon: dict[str, Value | Section] = {
        "load": PLUGINS,
        "install_routes": True,
        "threads": 16,
        "retransmit_timeout": "1.0",
        "retransmit_tries": 4,
        **(settings or {}),
        "plugins": {
            "vici": {"socket": f"unix://{vici}"},
            "kernel-libipsec": {"allow_peer_ts": True},
        },
        "filelog": {"log": {"path": str(log), "default": 1, "flush_line": True, "ike_name": True, "time_format": "%T"}},
    }
    return render({"charon": charon}) + "\n"
