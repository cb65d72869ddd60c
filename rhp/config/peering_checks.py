"""What must hold within one connection or realm: who proves what by which key, times, algorithms and children.

Each function notes its mistakes and returns nothing, so that all of them run. A key that was wrong in itself is not
complained about a second time for being absent.
"""

from __future__ import annotations

from collections.abc import Iterable

from rhp.config import values
from rhp.config.model import FILES, Child, Connection, Peering
from rhp.config.reading import Findings
from rhp.realm.pattern import IdentityPattern

_EXAMPLE_ID = "a.example.org"
LEAST_BYTES = 100 << 20
LEAST_PACKETS = 100_000


def auth_methods(peering: Peering) -> tuple[str, str]:
    """Our way to authenticate and the peer's: what is written, else what the keys beside it suggest.

    "null" is never suggested: it holds for the side for which it is written.
    """
    local, remote = peering.local, peering.remote
    ours = local.auth or ("pubkey" if local.certs or local.key else None)
    stored = "certificate_store" in remote.model_fields_set
    theirs = remote.auth or ("pubkey" if remote.cas or stored else None)
    default = "psk" if peering.psk or peering.psk_file or peering.psk_files else None
    mirrored = {"pubkey": "pubkey", "psk": "psk"}
    return (
        ours or default or mirrored.get(theirs or "", "psk"),
        theirs or default or mirrored.get(ours or "", "psk"),
    )


def starts(peering: Peering) -> str:
    """Whether it is begun by us: what is written, else whether there is somebody to call. A realm calls nobody."""
    if not isinstance(peering, Connection):
        return "wait"
    return peering.start or ("initiate" if peering.remote_addrs else "wait")


def check_peering(here: tuple[str, ...], peering: Peering, findings: Findings) -> None:
    """Note every mistake in what a connection and a realm have in common."""
    ours, theirs = auth_methods(peering)
    if peering.local.id is None and ours != "null" and not findings.was_wrong(*here, "local", "id"):
        findings.add((*here, "local", "id"), f'it is missing; write who this node is, such as "{_EXAMPLE_ID}"')
    _check_psk_keys(here, peering, ours, theirs, findings)
    _check_psk_files(here, peering, findings)
    _check_null(here, peering, ours, theirs, findings)
    _check_ppk_keys(here, peering, findings)
    _check_certificate_keys(here, peering, ours, theirs, findings)
    _check_warnings(here, "proposals", peering.proposals, findings)
    if peering.over_time == 0:
        findings.add(
            (*here, "over_time"), 'no time would be left for a rekey; write for example "24m", or leave it out'
        )
    if 0 < peering.rekey_time < 60:
        findings.add((*here, "rekey_time"), "this rekeys more than once a minute; write at least 60", warning=True)
    if 0 < peering.reauth_time < 60:
        findings.add((*here, "reauth_time"), "each side may prove itself once a minute at most; write at least 60")
    check_names("children", here, peering.children, findings)
    for child_name, child in peering.children.items():
        _check_child((*here, "children", child_name), child, peering, findings)


def check_names(kind: str, place: tuple[str, ...], names: Iterable[str], findings: Findings) -> None:
    """Each name can be written on a command line, and no two differ in capitals only."""
    seen: dict[str, str] = {}
    for name in names:
        try:
            values.name(name)
        except ValueError as error:
            findings.add((*place, kind, name), str(error))
        if other := seen.get(name.lower()):
            findings.add((*place, kind, name), f"this name differs from {other} only in capitals; write another one")
        seen.setdefault(name.lower(), name)


def _check_psk_keys(here: tuple[str, ...], peering: Peering, ours: str, theirs: str, findings: Findings) -> None:
    given = peering.psk is not None or peering.psk_file is not None or bool(peering.psk_files)
    if peering.psk is not None and peering.psk_file is not None:
        findings.add((*here, "psk"), "psk and psk_file are both there; leave one of them out")
    if "psk" in (ours, theirs):
        wrong = any(findings.was_wrong(*here, key) for key in ("psk", "psk_file", "psk_files"))
        if not given and not wrong:
            place, name = (*here, "psk_file"), here[-1]
            findings.add(
                place,
                f'neither a key nor a certificate is given; write psk_file = "{name}.psk" (rhp keygen psk makes one), '
                "or local.certs, local.key and remote.cas",
            )
    elif given:
        keys = ("psk", "psk_file", "psk_files")
        key = next(key for key in keys if getattr(peering, key))
        findings.add((*here, key), "neither side proves itself by a shared key, so this is never used; leave it out")


def _check_psk_files(here: tuple[str, ...], peering: Peering, findings: Findings) -> None:
    known: dict[str, str] = {}
    for who in peering.psk_files:
        place = (*here, "psk_files", who)
        try:
            pattern = IdentityPattern.parse(who)
        except ValueError as error:
            findings.add(place, str(error))
            continue
        if pattern.kind in ("any", "null"):
            findings.add(place, "a key for everybody has a key of its own; write psk_file")
        if other := known.get(who.lower()):
            findings.add(place, f"{other} has a key already; leave one of them out")
        known.setdefault(who.lower(), who)


def _check_null(here: tuple[str, ...], peering: Peering, ours: str, theirs: str, findings: Findings) -> None:
    """Who proves nothing has no name (RFC 7619), and should not be shown what a shared key can be guessed from."""
    for side, method, identity in (("local", ours, peering.local.id), ("remote", theirs, peering.remote.id)):
        if method == "null" and identity is not None:
            findings.add((*here, side, "id"), f'{side}.auth is "null", and nobody proves this name; leave it out')
    if {ours, theirs} == {"psk", "null"} and (peering.psk or peering.psk_file or peering.psk_files):
        side = "remote" if theirs == "null" else "local"
        findings.add(
            (*here, side, "auth"),
            'any stranger gets a proof from which a shared key can be guessed; write "null" beside certificates alone',
        )
    if theirs == "null":
        findings.add(
            (*here, "remote", "auth"),
            "whoever reaches this node is let in, and nothing tells one from another",
            warning=True,
        )
    if theirs == "null" and starts(peering) == "initiate":
        findings.add(
            (*here, "remote", "auth"),
            "whoever answers in the peer's place gets what is sent there; let the peer use a certificate",
            warning=True,
        )


def _check_ppk_keys(here: tuple[str, ...], peering: Peering, findings: Findings) -> None:
    if peering.ppk is not None and peering.ppk_file is not None:
        findings.add((*here, "ppk"), "ppk and ppk_file are both there; leave one of them out")
    given = peering.ppk is not None or peering.ppk_file is not None
    wrong = any(findings.was_wrong(*here, key) for key in ("ppk_id", "ppk", "ppk_file"))
    if given and peering.ppk_id is None and not wrong:
        key = "ppk" if peering.ppk is not None else "ppk_file"
        findings.add((*here, key), 'a PPK is found by its name; write ppk_id = "office-1", the same at both ends')
    if peering.ppk_id is not None and not given and not wrong:
        findings.add(
            (*here, "ppk_id"), f'the key is missing; write ppk_file = "{here[-1]}.ppk" (rhp keygen ppk makes one)'
        )
    if "ppk_required" in peering.model_fields_set and not (given or peering.ppk_id or wrong):
        findings.add((*here, "ppk_required"), "there is no PPK; write ppk_id and ppk_file, or leave this out")


def _check_certificate_keys(
    here: tuple[str, ...], peering: Peering, ours: str, theirs: str, findings: Findings
) -> None:
    needed = {
        ("local", "certs"): (ours, peering.local.certs, 'write our certificate\'s file, such as "node.pem"'),
        ("local", "key"): (ours, peering.local.key, 'write our private key\'s file, such as "node.key"'),
        ("remote", "cas"): (theirs, peering.remote.cas, 'write the file of the CA to trust, such as "ca.pem"'),
    }
    if peering.remote.certificate_store != FILES:
        # Whatever a store makes of the files, or of their absence, is its own affair.
        del needed["remote", "cas"]
    for place, (method, value, hint) in needed.items():
        if method == "pubkey" and not value and not findings.was_wrong(*here, *place):
            findings.add((*here, *place), f"it is missing, and certificates need it; {hint}")
        if method != "pubkey" and value:
            findings.add((*here, *place), f"{place[0]}.auth is {method}, so this is never used; leave it out")


def _check_child(here: tuple[str, ...], child: Child, peering: Peering, findings: Findings) -> None:
    _check_warnings(here, "esp_proposals", child.esp_proposals, findings)
    # A side whose address the configuration payload settles needs no selectors of its own.
    asks = isinstance(peering, Connection) and peering.request_addresses
    settled = {"local_ts": asks, "remote_ts": bool(peering.pools)}
    for key in ("local_ts", "remote_ts"):
        given = getattr(child, key)
        if child.mode == "ethernet" and given:
            findings.add((*here, key), 'an Ethernet child carries every frame; write mode = "tunnel", or leave it out')
        if child.mode == "tunnel" and not given and not settled[key] and not findings.was_wrong(*here, key):
            findings.add((*here, key), 'it is missing, and tunnel mode needs it; write for example ["10.77.0.0/24"]')
    _check_child_lifetimes(here, child, findings)


def _check_child_lifetimes(here: tuple[str, ...], child: Child, findings: Findings) -> None:
    if 0 < child.rekey_time < 60:
        findings.add((*here, "rekey_time"), "this rekeys more than once a minute; write at least 60", warning=True)
    if 0 < child.rekey_bytes < LEAST_BYTES:
        findings.add((*here, "rekey_bytes"), 'a fast path rekeys all the time; write at least "100M"', warning=True)
    if 0 < child.rekey_packets < LEAST_PACKETS:
        detail = f"a fast path rekeys all the time; write at least {LEAST_PACKETS}"
        findings.add((*here, "rekey_packets"), detail, warning=True)


def _check_warnings(here: tuple[str, ...], key: str, proposals: Iterable[object], findings: Findings) -> None:
    for index, proposal in enumerate(proposals):
        for warning in getattr(proposal, "warnings", ()):
            findings.add((*here, key, index), warning, warning=True)
