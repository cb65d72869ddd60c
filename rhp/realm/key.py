"""What makes two identities one, for tables that are asked by identity."""

from __future__ import annotations

from rhp.pki.dn import comparable, read_dn
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

Key = tuple[int, bytes]


def identity_key(identity: Identity) -> Key:
    """What two identities that mean the same have in common: names in small letters, DNs by their parts."""
    data = identity.data
    if identity.id_type in (IdType.FQDN, IdType.RFC822_ADDR):
        data = data.lower()
    elif identity.id_type == IdType.DER_ASN1_DN:
        try:
            data = repr(comparable(read_dn(data))).encode()
        except ValueError:
            # Apart from every name that is one: octets of somebody's choice might read like its parts.
            data = b"malformed " + data
    return int(identity.id_type), data
