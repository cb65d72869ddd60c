"""Random patterns and identities out of few words, so that they meet each other often."""

from hypothesis import strategies as st

from rhp.pki.dn import parse_dn
from rhp.pki.identity import ANONYMOUS, parse_identity
from rhp.wire.iana import IdType
from rhp.wire.identity import Identity

LABELS = st.sampled_from(["a", "b", "sales", "example", "A", "Sales"])
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PARTS = st.tuples(st.sampled_from(["C", "O", "OU", "CN"]), st.sampled_from(["x", "y", "X  z", "*"])).map("=".join)
DNS = st.lists(PARTS, min_size=1, max_size=4, unique_by=str.casefold).map(", ".join)

RULES = st.one_of(
    st.just("%any"),
    DOMAINS.map("*@{}".format),
    DOMAINS.map("*.{}".format),
    DNS,
    DOMAINS,
    st.tuples(LABELS, DOMAINS).map("@".join),
    st.sampled_from(["10.0.0.1", "fd00::1", "@#00ff"]),
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/30", "10.0.0.1/32", "::/0", "fd00::/8", "fd00::1/128"]),
)
WHOLE = st.one_of(RULES, st.just("%null"))


def _odd(data):
    return [Identity(kind, data) for kind in (IdType.FQDN, IdType.RFC822_ADDR, IdType.DER_ASN1_DN, IdType.IPV4_ADDR)]


IDENTITIES = st.one_of(
    DOMAINS.map(parse_identity),
    st.tuples(LABELS, DOMAINS).map("@".join).map(parse_identity),
    DNS.map(lambda text: Identity(IdType.DER_ASN1_DN, parse_dn(text))),
    st.sampled_from(["10.0.0.1", "10.0.0.9", "192.0.2.1", "fd00::1", "fd01::1", "@#00ff"]).map(parse_identity),
    st.just(ANONYMOUS),
    st.just(Identity(IdType.NULL, b"x")),
    # Whatever else the network may bring: dots and at signs anywhere, names that are no names.
    st.text("ab.@", max_size=12).map(str.encode).flatmap(lambda data: st.sampled_from(_odd(data))),
    st.binary(max_size=12).flatmap(lambda data: st.sampled_from(_odd(data))),
)
