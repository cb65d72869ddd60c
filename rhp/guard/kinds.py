"""The kinds of message between guard and node, by their number. A number once given is never given to another kind."""

from __future__ import annotations

from dataclasses import dataclass

from rhp.guard import protocol

VERSION = 1
"""The version of this protocol; both processes are of one installation, so another version is a broken one."""


@dataclass(frozen=True, slots=True)
class Start:
    """The guard to the node, first of all: who it is to be. Its configuration comes as a descriptor beside it.

    `user` and `group` are the ids to run as; `folders` may be written to.
    """

    user: int
    group: int
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """The guard to the node: take leave of your peers and end; `why` is a word for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class Reload:
    """The guard to the node: somebody wants the configuration read again; `why` is a word for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The guard to the node: answer by `TellAlive` with this number, 1 to 2^32 - 1, if you live."""

    number: int


Note = Start | Stop | Reload | Heartbeat

QUESTIONS: dict[int, type] = {
    1: protocol.SignOctets,
    2: protocol.ProvePsk,
    3: protocol.CheckPsk,
    4: protocol.MixPpk,
    5: protocol.FingerprintSecrets,
    6: protocol.ReadConfiguration,
    7: protocol.AdoptConfiguration,
    16: protocol.OpenTap,
    17: protocol.AddTapQueue,
    18: protocol.OpenUdp,
    19: protocol.OpenRawEsp,
    20: protocol.OpenIcmp,
    21: protocol.ConfigureLink,
    22: protocol.AddRoute,
    23: protocol.RemoveRoute,
    24: protocol.AddAddress,
    25: protocol.RemoveAddress,
    26: protocol.SetDns,
    27: protocol.ClearDns,
    28: protocol.CaptureTraffic,
    29: protocol.ReleaseTraffic,
    30: protocol.ReleaseAll,
    31: protocol.MendCaptures,
    48: protocol.TellState,
    49: protocol.TellAlive,
    50: protocol.RunHook,
}

ANSWERS: dict[int, type] = {
    128: protocol.AuthData,
    129: protocol.Accepted,
    130: protocol.PpkKeys,
    131: protocol.Fingerprint,
    132: protocol.ConfigurationRead,
    133: protocol.ConfigurationWrong,
    144: protocol.Descriptors,
    145: protocol.Done,
    146: protocol.Refused,
}

NOTES: dict[int, type] = {192: Start, 193: Stop, 194: Reload, 195: Heartbeat}
