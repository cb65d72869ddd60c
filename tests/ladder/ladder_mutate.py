"""Damaged messages: a few octets changed, cut, doubled, or a length turned into a lie. Seeded, so that runs repeat."""

_INTERESTING = (0, 1, 2, 3, 4, 7, 8, 0x7F, 0x80, 0xFE, 0xFF)


def mutate(chance, octets):
    """A damaged copy, never equal to the original."""
    while True:
        damaged = _once(chance, bytearray(octets))
        if chance.random() < 0.3:
            damaged = _once(chance, damaged)
        if damaged != octets:
            return bytes(damaged)


def _once(chance, octets):
    kind = chance.randrange(8) if octets else 7
    at = chance.randrange(len(octets)) if octets else 0
    if kind == 0:
        octets[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        octets[at] = chance.choice(_INTERESTING)
    elif kind == 2:
        octets[at] = chance.randrange(256)
    elif kind == 3:
        del octets[at:]
    elif kind == 4:
        end = at + chance.randrange(1, 20)
        octets[at:end] = chance.randbytes(len(octets[at:end]))
    elif kind == 5:
        end = at + chance.randrange(1, 40)
        octets[at:at] = octets[at:end]
    elif kind == 6:
        del octets[at : at + chance.randrange(1, 12)]
    else:
        octets += chance.randbytes(chance.randrange(1, 40))
    return octets
