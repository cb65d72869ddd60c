"""rhp's configuration file, written from parameters: the lab's nodes differ in little, and only that is said."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float | bool | Sequence[str] | Sequence[Mapping[str, str]]
Table = Mapping[str, "Value | Table"]


def toml(table: Table, path: tuple[str, ...] = ()) -> str:
    """TOML text of a table and the tables in it; keys are quoted, so any name will do."""
    lines: list[str] = []
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if path and plain:
        lines.append("[" + ".".join(_quoted(part) for part in path) + "]")
    lines += [f"{_quoted(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines.append(toml(value, (*path, key)))
    return "\n".join(lines)


def node(interface: Table, connections: Table, **parts: Value | Table) -> Table:
    """A whole configuration; `parts` are further top-level tables ("node", "hub")."""
    return {**parts, "interface": interface, "connections": connections}


def psk(local: str, remote: str, secret: str, **settings: Value | Table) -> Table:
    """A connection between two identities that share a secret."""
    return {"psk": secret, "local": {"id": local}, "remote": {"id": remote}, **settings}


def pubkey(local: str, remote: str, cert: Path, key: Path, ca: Path, **settings: Value | Table) -> Table:
    """A connection between two identities with certificates."""
    ours: Table = {"id": local, "certs": [str(cert)], "key": str(key)}
    return {"local": ours, "remote": {"id": remote, "cas": [str(ca)]}, **settings}


def tunnel(local_ts: Sequence[str], remote_ts: Sequence[str], **settings: Value) -> Table:
    """A child in tunnel mode."""
    return {"mode": "tunnel", "local_ts": local_ts, "remote_ts": remote_ts, **settings}


def _quoted(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: "Value | Table") -> str:
    """JSON's texts, numbers and truths are TOML's too; tables in lists are written inline."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_quoted(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value)
