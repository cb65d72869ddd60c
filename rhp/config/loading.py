"""From a TOML file to everything a node needs, or to the list of all its mistakes.

Text -> TOML -> the model -> what must hold between keys -> the files they name -> the dataclasses of the rooms below.
Every step but the first goes on after a mistake, so that one run shows all of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rhp.config.checks import check
from rhp.config.credentials import read_credentials
from rhp.config.errors import ConfigError, Problem
from rhp.config.lines import LineIndex
from rhp.config.model import Configuration
from rhp.config.providers import load_crypto
from rhp.config.reading import Findings, read
from rhp.config.tomlfile import TomlFileError, read_toml
from rhp.config.translate import to_engine, to_identities, to_policy, to_settings
from rhp.guard.brief import Identities
from rhp.guard.policy import GuardPolicy
from rhp.ike.config import EngineConfig
from rhp.node.settings import NodeSettings


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration without a mistake: plain settings, the engine's connections and what the guard must keep."""

    file: Path
    settings: NodeSettings
    engine: EngineConfig
    policy: GuardPolicy
    identities: Identities = field(default_factory=Identities)
    warnings: tuple[Problem, ...] = ()


def load(file: Path, now: datetime | None = None) -> Loaded:
    """Read and check a configuration file; raises `ConfigError` with every mistake. `now` judges certificates."""
    file = file.absolute()
    data, findings = _parse(file)
    # Before the proposals are read, which may name what these have.
    load_crypto(data, findings)
    configuration = read(data, findings)
    check(configuration, file.parent, findings)
    chains = read_credentials(configuration, file.parent, findings, now or datetime.now(UTC))
    _check_inline_keys(file, configuration, findings)
    problems = sorted(findings.problems, key=lambda problem: (problem.line or 0, problem.where))
    if any(not problem.warning for problem in problems):
        raise ConfigError(file, problems)
    return Loaded(
        file=file,
        settings=to_settings(configuration, file.parent),
        engine=to_engine(configuration, chains),
        policy=to_policy(configuration, file.parent),
        identities=to_identities(configuration),
        warnings=tuple(problems),
    )


def _parse(file: Path) -> tuple[dict[str, Any], Findings]:
    try:
        text, data = read_toml(file)
    except FileNotFoundError:
        message = "there is no such file; write it, or name another one with -c FILE"
        raise ConfigError(file, [Problem("", message)]) from None
    except TomlFileError as error:
        raise ConfigError(file, [Problem("", str(error), error.line)]) from None
    return data, Findings(LineIndex(text))


def _check_inline_keys(file: Path, configuration: Configuration, findings: Findings) -> None:
    if not file.stat().st_mode & 0o004:
        return
    for here, peering in configuration.peerings():
        for key in ("psk", "ppk"):
            if getattr(peering, key) is not None:
                message = f"everyone on this machine can read this key; run chmod 600 {file}, or use {key}_file"
                findings.add((*here, key), message, warning=True)
