"""Who may speak to the engine."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from rhp._fast.address cimport address_store
from rhp._fast.blake2s cimport blake2s_digest, blake2s_key
from rhp._fast.octets cimport load_be16, load_be32, load_be64
from rhp._fast.packet cimport address_is4
from rhp._fast.rate cimport rate_take

cdef enum:
    SECRET = 32
    SPI = 8
    MARKED = 4                      # Octets of an SPI that are chance; the others are their mark.
    DIGEST = 16
    HEADER = 28
    AT_SPI_R = 8
    AT_NEXT_PAYLOAD = 16
    AT_VERSION = 17
    AT_EXCHANGE = 18
    AT_FLAGS = 19
    AT_MESSAGE_ID = 20
    AT_LENGTH = 24
    MAJOR_VERSION = 2
    IKE_SA_INIT = 34
    IKE_SESSION_RESUME = 38         # Begins an IKE SA by a ticket (RFC 5723).
    FLAG_INITIATOR = 0x08
    FLAG_RESPONSE = 0x20
    FIRST_MAX = 8192                # The longest first message: as rhp.ike.accept has it.
    GENERIC = 4
    PAYLOADS_MAX = 512
    PAYLOAD_NONCE = 40
    PAYLOAD_NOTIFY = 41
    NOTIFY_COOKIE = 16390
    NOTIFY_HEADER = 4
    NONCE_MIN = 16
    NONCE_MAX = 256
    ODD_BURST = 64
    ODD_MS = 10                     # One more of what is odd may enter after so long.
    SOURCE_BURST = 128
    SOURCE_MS = 20                  # One more with a good cookie may enter from the same source after so long.

COUNTS = (
    "admitted",
    "admitted-by-cookie",
    "admitted-odd",
    "cookie-asked",
    "cookie-wrong",
    "odd-withheld",
    "source-withheld",
    "bad-first-message",
)

if len(COUNTS) != ADMISSION_COUNTS:
    raise SystemError("a count has no name")


# What of a first message matters here.
ctypedef struct first_t:
    const uint8_t* nonce
    size_t nonce_len
    const uint8_t* cookie           # NULL: there is none.
    size_t cookie_len


cdef void admission_set(
    admission_t* rule, bint always, uint8_t number, const uint8_t* newest, const uint8_t* before, const uint8_t* mark,
    uint32_t rate,
) noexcept nogil:
    rule.always = always
    rule.number = number
    rule.rate = rate
    rule.with_previous = before != NULL
    blake2s_key(&rule.secret, newest, SECRET, DIGEST)
    if before != NULL:
        blake2s_key(&rule.previous, before, SECRET, DIGEST)
    blake2s_key(&rule.mark, mark, SECRET, SPI - MARKED)
    # Of another length, and so of another kind than the mark.
    blake2s_key(&rule.source, mark, SECRET, sizeof(uint32_t) * 2)


cdef void note(const uint8_t* body, size_t len, first_t* first) noexcept nogil:
    """A Notify payload: if it is a cookie, the first one counts."""
    cdef size_t spi
    if len < NOTIFY_HEADER or first.cookie != NULL or load_be16(body + 2) != NOTIFY_COOKIE:
        return
    spi = body[1]
    if NOTIFY_HEADER + spi <= len:
        first.cookie = body + NOTIFY_HEADER + spi
        first.cookie_len = len - NOTIFY_HEADER - spi


cdef bint read_first(const uint8_t* data, size_t len, first_t* first) noexcept nogil:
    """Whether the payloads hang together and have one nonce among them; `first` is zero."""
    cdef uint8_t kind = data[AT_NEXT_PAYLOAD]
    cdef size_t at = HEADER
    cdef size_t size
    for _ in range(PAYLOADS_MAX):
        if kind == 0:
            break
        if len - at < GENERIC:
            return False
        size = load_be16(data + at + 2)
        if size < GENERIC or size > len - at:
            return False
        if kind == PAYLOAD_NONCE:
            if first.nonce != NULL or not NONCE_MIN + GENERIC <= size <= NONCE_MAX + GENERIC:
                return False
            first.nonce = data + at + GENERIC
            first.nonce_len = size - GENERIC
        elif kind == PAYLOAD_NOTIFY:
            note(data + at + GENERIC, size - GENERIC, first)
        kind = data[at]
        at += size
    return kind == 0 and at == len and first.nonce != NULL


cdef void bake(
    const blake2s_t* secret, const uint8_t* spi, address_t source, const first_t* first, uint8_t* out,
) noexcept nogil:
    """The digest of a cookie, as rhp.ike.cookies bakes it: over the SPI, the address and the nonce."""
    cdef uint8_t text[SPI + 16 + NONCE_MAX]
    cdef size_t len = SPI
    memcpy(text, spi, SPI)
    address_store(source, text + len)
    len += 4 if address_is4(source) else 16
    memcpy(text + len, first.nonce, first.nonce_len)
    blake2s_digest(secret, text, len + first.nonce_len, out)


cdef bint same(const uint8_t* a, const uint8_t* b, size_t len) noexcept nogil:
    """In a time that does not tell where they differ."""
    cdef uint8_t differs = 0
    cdef size_t index
    for index in range(len):
        differs |= a[index] ^ b[index]
    return differs == 0


cdef bint good_cookie(
    const admission_t* rule, const uint8_t* spi, address_t source, const first_t* first,
) noexcept nogil:
    cdef uint8_t digest[DIGEST]
    if first.cookie_len != COOKIE_OCTETS:
        return False
    if first.cookie[0] == rule.number:
        bake(&rule.secret, spi, source, first, digest)
    elif first.cookie[0] == <uint8_t>(rule.number - 1) and rule.with_previous:
        bake(&rule.previous, spi, source, first, digest)
    else:
        return False
    return same(digest, first.cookie + 1, DIGEST)


cdef rate_t* source_rate(admission_t* rule, address_t source) noexcept nogil:
    """An IPv4 address, or a /64 of IPv6, which one host may have to itself."""
    cdef uint64_t digest
    cdef uint64_t named = source.low if address_is4(source) else source.high
    blake2s_digest(&rule.source, <const uint8_t*>&named, sizeof(named), <uint8_t*>&digest)
    return rule.sources + digest % SOURCES


cdef verdict_t conclude(admission_t* rule, admission_count_t count, verdict_t verdict) noexcept nogil:
    rule.counts[<int>count] += 1
    return verdict


cdef verdict_t odd(admission_t* rule, uint64_t now_ms) noexcept nogil:
    """The engine has an answer to some of these and counts the others by name; a few tell as much as all."""
    if rate_take(&rule.odd, now_ms, ODD_MS, ODD_BURST):
        return conclude(rule, ADMITTED_ODD, VERDICT_ENTER)
    return conclude(rule, DROPPED_ODD, VERDICT_DROP)


cdef bint is_ours(const admission_t* rule, const uint8_t* spi) noexcept nogil:
    cdef uint8_t mark[SPI - MARKED]
    blake2s_digest(&rule.mark, spi, MARKED, mark)
    return memcmp(mark, spi + MARKED, SPI - MARKED) == 0


cdef bint is_first(const uint8_t* data, size_t len) noexcept nogil:
    """Whether the engine would take the header for that of a first message."""
    return (
        load_be32(data + AT_MESSAGE_ID) == 0 and load_be64(data + AT_SPI_R) == 0 and load_be64(data) != 0
        and len <= FIRST_MAX
    )


cdef verdict_t judge_first(
    admission_t* rule, const uint8_t* data, size_t len, address_t source, uint64_t now_ms, uint8_t* cookie,
) noexcept nogil:
    cdef first_t first
    cdef bint sound
    memset(&first, 0, sizeof(first))
    sound = is_first(data, len) and read_first(data, len, &first)
    if sound and first.cookie != NULL and good_cookie(rule, data, source, &first):
        if rate_take(source_rate(rule, source), now_ms, SOURCE_MS, SOURCE_BURST):
            return conclude(rule, ADMITTED_COOKIE, VERDICT_ENTER)
        return conclude(rule, DROPPED_SOURCE, VERDICT_DROP)
    if not rule.always and rule.rate and rate_take(&rule.begins, now_ms, max(1000 // rule.rate, 1), rule.rate):
        return conclude(rule, ADMITTED, VERDICT_ENTER)
    if not sound:
        return conclude(rule, DROPPED_MALFORMED, VERDICT_DROP)
    cookie[0] = rule.number
    bake(&rule.secret, data, source, &first, cookie + 1)
    return conclude(rule, ASKED_COOKIE if first.cookie == NULL else ASKED_WRONG, VERDICT_COOKIE)


cdef verdict_t admission_judge(
    admission_t* rule, const uint8_t* data, size_t len, address_t source, uint64_t now_ms, uint8_t* cookie,
) noexcept nogil:
    cdef uint8_t flags
    if len < HEADER or data[AT_VERSION] >> 4 != MAJOR_VERSION or load_be32(data + AT_LENGTH) != len:
        return odd(rule, now_ms)
    flags = data[AT_FLAGS] & (FLAG_INITIATOR | FLAG_RESPONSE)
    if data[AT_EXCHANGE] in (IKE_SA_INIT, IKE_SESSION_RESUME) and flags == FLAG_INITIATOR:
        return judge_first(rule, data, len, source, now_ms, cookie)
    if is_ours(rule, data + AT_SPI_R if flags & FLAG_INITIATOR else data):
        return conclude(rule, ADMITTED, VERDICT_ENTER)
    return odd(rule, now_ms)
