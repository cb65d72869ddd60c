"""Messages to the gate, from one source or another, under a rule that is at peace or under load.

Each is an honest first message, one with the cookie that was asked for, one of an IKE SA, or noise; a few octets of it
are changed. What the gate says of it must be what its own words allow.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from rhp._fast.admission cimport *
from rhp._fast.blake2s cimport blake2s_digest
from rhp._fast.octets cimport store_be16, store_be32
from rhp._fast.packet cimport address_t
from targets.source cimport check, source_t, take, take8, take16

cdef enum:
    SECRET = 32
    HEADER = 28
    ROOM = 2048
    TURNS_MAX = 64

ctypedef struct asked_t:
    bint there
    uint8_t cookie[COOKIE_OCTETS]

cdef admission_t* rule = <admission_t*>calloc(1, sizeof(admission_t))


cdef uint32_t put_payload(uint8_t* out, uint8_t after, uint32_t body) noexcept nogil:
    """The header in front of a body that stands there already."""
    out[0] = after
    out[1] = 0
    store_be16(out + 2, <uint16_t>(body + 4))
    return body + 4


cdef uint32_t write_first(uint8_t* out, source_t* source, const asked_t* asked) noexcept nogil:
    """A first message: perhaps a cookie, something that is passed over, a nonce."""
    cdef uint8_t how = take8(source)
    cdef uint32_t at = HEADER
    cdef uint32_t len
    memset(out, 0, HEADER)
    memcpy(out, b"strangers", 8)
    out[16] = 41 if asked.there and how & 1 else 34
    out[17] = 0x20
    out[18] = 34
    out[19] = 0x08
    if asked.there and how & 1:
        memset(out + at + 4, 0, 4)
        store_be16(out + at + 6, 16390)
        memcpy(out + at + 8, asked.cookie, COOKIE_OCTETS)
        at += put_payload(out + at, 34, 4 + COOKIE_OCTETS)
    len = how >> 2 & 31
    take(source, out + at + 4, len)
    at += put_payload(out + at, 40, len)
    # The nonce is always the same, so that the cookie stays good.
    memset(out + at + 4, 0x55, 32)
    at += put_payload(out + at, 0, 32)
    store_be32(out + 24, at)
    return at


cdef uint32_t write_within(uint8_t* out, source_t* source) noexcept nogil:
    """A message of an IKE SA, whose SPI bears the mark or does not."""
    cdef uint8_t how = take8(source)
    memset(out, 0, HEADER)
    take(source, out + 8, 4)
    blake2s_digest(&rule.mark, out + 8, 4, out + 12)
    out[17] = 0x20
    out[18] = 37
    out[19] = 0x08
    store_be32(out + 24, HEADER)
    if how & 1:
        out[8 + (how >> 1 & 7)] ^= how | 1
    return HEADER


cdef uint32_t change(uint8_t* out, uint32_t len, source_t* source) noexcept nogil:
    """The length after what was done to it."""
    cdef uint8_t how = take8(source)
    if how & 1 and len > 0:
        out[take16(source) % len] ^= take8(source)
    if how & 2:
        len = take16(source) % (len + 1)
    if how & 4 and len >= HEADER:
        store_be32(out + 24, len)
    return len


cdef void one(source_t* source, asked_t* asked, uint64_t* now) noexcept nogil:
    cdef uint8_t room[ROOM]
    cdef uint8_t kind = take8(source)
    cdef uint32_t len
    cdef uint8_t* exact
    cdef address_t address
    cdef verdict_t verdict
    cdef bint honest = False
    cdef uint64_t before = 0
    cdef uint64_t after = 0
    cdef int index
    now[0] += take8(source)
    address.high = kind >> 4 & 1
    address.low = (<uint64_t>0xffff << 32) | (kind >> 5)
    if kind & 3 == 0:
        len = take16(source) % ROOM
        take(source, room, len)
    elif kind & 3 == 1:
        len = write_within(room, source)
    else:
        len = write_first(room, source, asked)
        honest = kind & 8 == 0
    if not honest:
        len = change(room, len, source)
    # An allocation as long as the message, so that the first octet behind it is out of bounds.
    exact = <uint8_t*>malloc(len)
    memcpy(exact, room, len)
    for index in range(ADMISSION_COUNTS):
        before += rule.counts[index]
    verdict = admission_judge(rule, exact, len, address, now[0], asked.cookie)
    for index in range(ADMISSION_COUNTS):
        after += rule.counts[index]
    free(exact)
    check(after == before + 1, b"each message is counted once")
    if verdict == VERDICT_COOKIE:
        check(len >= HEADER + 20, b"only a first message with a nonce is answered")
        asked.there = True
    check(not honest or verdict != VERDICT_DROP or rule.counts[<int>DROPPED_SOURCE] > 0, b"an honest one is heard")


cdef int fuzz(const uint8_t* data, size_t size) noexcept nogil:
    cdef source_t source
    cdef asked_t asked
    cdef uint64_t now = 1000000
    cdef uint8_t how
    source.data = data
    source.left = size
    memset(rule, 0, sizeof(admission_t))
    asked.there = False
    how = take8(&source)
    admission_set(
        rule, how & 1, how, <const uint8_t*>b"a secret of thirty-two octets...", NULL if how & 2 else
        <const uint8_t*>b"the secret before it, as long...", <const uint8_t*>b"the key of the mark, as long too",
        how >> 4,
    )
    for _ in range(TURNS_MAX):
        if source.left == 0:
            break
        one(&source, &asked, &now)
    return 0


entry = <uintptr_t>fuzz
