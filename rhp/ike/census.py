"""How many IKE SAs there are, for metrics: a count that does not look at each of them closely."""

from collections import Counter
from dataclasses import dataclass

from rhp.ike.table import SaTable


@dataclass(frozen=True, slots=True)
class Census:
    """`half_open` have peers that proved nothing yet, `established` are counted by connection."""

    half_open: int
    established: Counter[str]


def take(table: SaTable) -> Census:
    """Count them; of one that was rekeyed only the successor counts."""
    standing = (sa for sa in table.sas() if sa.established_at is not None and sa.successor is None)
    return Census(table.half_open, Counter(sa.connection_name for sa in standing))
