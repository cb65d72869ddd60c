"""strongSwan's two configuration files, written from parameters.

Its parser is strict: one setting per line, one brace per line. A section is a mapping; a value is a string, a number, a
truth, or a list (written with commas).

Only what every connection needs has a field of its own. All else is said in strongSwan's own words, in a mapping at the
level that it belongs to, where it overrides what would be written (see swanctl.conf(5) and strongswan.conf(5)):

    SwanChild(..., settings={"dpd_action": "restart", "policies": False})
    SwanAuth(..., settings={"revocation": "relaxed"})
    SwanConnection(
        ...,
        proposals="aes256gcm16-prfsha384-x25519-ke1_mlkem768",
        settings={"mobike": True, "fragmentation": "force", "childless": "allow", "vips": ["0.0.0.0"], "pools": ["v4"],
                  "dpd_delay": "1s", "rekey_time": "5s", "encap": True, "send_cert": "always", "ppk_id": "one"},
        more={"pools": {"v4": {"addrs": "10.3.0.0/24", "dns": "10.3.0.1"}},
              "secrets": {"ppk-one": {"id": "one", "secret": "0x0badcafe"}}},
    )
    StrongSwan(..., settings={"cookie_threshold": 1, "fragment_size": 600, "retransmit_tries": 2,
                              "load": f"{PLUGINS} attr", "plugins": {"attr": {"dns": "10.3.0.1"}}})
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


def merged(section: Section, over: Section) -> Section:
    """`section` with the settings of `over` in it, and its sub-sections merged likewise."""
    result: dict[str, Value | Section] = dict(section)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


@dataclass(frozen=True, slots=True)
class SwanAuth:
    """How one end proves itself: a PSK, or certificates (`certs`: its chain, `cas`: whom to trust).

    The two ends of a connection need not do it alike.
    """

    identity: str
    method: str = "psk"
    certs: tuple[Path, ...] = ()
    cas: tuple[Path, ...] = ()
    settings: Section = field(default_factory=dict)

    def section(self) -> Section:
        """The `local` or `remote` section."""
        parts: dict[str, Value | Section] = {"auth": self.method, "id": self.identity}
        if self.certs:
            parts["certs"] = [str(path) for path in self.certs]
        if self.cas:
            parts["cacerts"] = [str(path) for path in self.cas]
        return merged(parts, self.settings)


@dataclass(frozen=True, slots=True)
class SwanChild:
    """A Child SA in tunnel mode; times are strongSwan's ("1h", 0 for never)."""

    name: str
    local_ts: tuple[str, ...]
    remote_ts: tuple[str, ...]
    esp_proposals: str = "aes128gcm16"
    rekey_time: str = "0"
    start_action: str = "none"
    settings: Section = field(default_factory=dict)

    def section(self) -> Section:
        """The section below `children`."""
        usual: Section = {
            "local_ts": self.local_ts,
            "remote_ts": self.remote_ts,
            "esp_proposals": self.esp_proposals,
            "rekey_time": self.rekey_time,
            "start_action": self.start_action,
        }
        return merged(usual, self.settings)


@dataclass(frozen=True, slots=True)
class SwanConnection:
    """One connection of `swanctl.conf`; `psk` and `key` land among the secrets, `settings` override anything.

    `local_addr` may name several addresses, with commas; `more` are top-level sections that come with it.
    """

    name: str
    local_addr: str
    remote_addr: str
    local: SwanAuth
    remote: SwanAuth
    children: tuple[SwanChild, ...]
    proposals: str = "aes128gcm16-prfsha256-x25519"
    psk: str | None = None
    key: Path | None = None
    settings: Section = field(default_factory=dict)
    more: Section = field(default_factory=dict)

    def section(self) -> Section:
        """The section below `connections`."""
        usual: Section = {
            "version": 2,
            "local_addrs": self.local_addr,
            "remote_addrs": self.remote_addr,
            "proposals": self.proposals,
            "rekey_time": "0",
            "mobike": False,
            "local": self.local.section(),
            "remote": self.remote.section(),
            "children": {child.name: child.section() for child in self.children},
        }
        return merged(usual, self.settings)


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
    sections: Section = {
        "connections": {connection.name: connection.section() for connection in connections},
        "secrets": secrets,
    }
    for connection in connections:
        sections = merged(sections, connection.more)
    return render(sections) + "\n"


def strongswan_conf(vici: Path, log: Path, settings: Section | None = None) -> str:
    """`strongswan.conf` of a charon that does ESP in user space and talks to swanctl at `vici`.

    `settings` belong into `charon {}`.
    """
    charon: Section = {
        "load": PLUGINS,
        "install_routes": True,
        "threads": 16,
        "retransmit_timeout": "1.0",
        "retransmit_tries": 4,
        "plugins": {
            "vici": {"socket": f"unix://{vici}"},
            "kernel-libipsec": {"allow_peer_ts": True},
        },
        "filelog": {"log": {"path": str(log), "default": 1, "flush_line": True, "ike_name": True, "time_format": "%T"}},
    }
    return render({"charon": merged(charon, settings or {})}) + "\n"
