"""Who may speak to the engine: the rule that the engine publishes (rhp.ike.admission), applied before anything is kept.

A message is let in when it names, by an SPI that bears our mark, an IKE SA that we may have; when it begins one and
brings a good cookie, and its source has not had too many; when it begins one without and not many do (RFC 7296
section 2.6); and what is odd, such as another version or an SPI of somebody else's, when it is rare. What begins an
IKE SA and is not let in for want of a cookie alone is given one. Nothing is kept of any of them but the counts.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.blake2s cimport blake2s_t
from rhp._fast.packet cimport address_t
from rhp._fast.rate cimport rate_t

cdef enum:
    COOKIE_OCTETS = 17              # The number of its secret, then the digest.
    SOURCES = 4096

cdef enum verdict_t:
    VERDICT_ENTER
    VERDICT_COOKIE
    VERDICT_DROP

# What became of the messages; the names stand in admission.pyx.
cdef enum admission_count_t:
    ADMITTED
    ADMITTED_COOKIE
    ADMITTED_ODD
    ASKED_COOKIE
    ASKED_WRONG
    DROPPED_ODD
    DROPPED_SOURCE
    DROPPED_MALFORMED
    ADMISSION_COUNTS

ctypedef struct admission_t:
    bint always                     # A cookie is wanted, whatever the rate.
    bint with_previous
    uint8_t number                  # Of the newest secret.
    uint32_t rate                   # So many a second may begin without a cookie.
    blake2s_t secret
    blake2s_t previous
    blake2s_t mark                  # Of our own SPIs.
    blake2s_t source                # Spreads the sources over their table.
    rate_t begins
    rate_t odd
    rate_t sources[SOURCES]
    uint64_t counts[ADMISSION_COUNTS]

# `secrets` are 32 octets each: the newest, the one before it (NULL: there is none), and that of the SPIs' mark.
cdef void admission_set(
    admission_t* rule, bint always, uint8_t number, const uint8_t* newest, const uint8_t* before, const uint8_t* mark,
    uint32_t rate,
) noexcept nogil
# Judges an IKE message (without the non-ESP marker) and counts it. For VERDICT_COOKIE `cookie` gets COOKIE_OCTETS.
cdef verdict_t admission_judge(
    admission_t* rule, const uint8_t* data, size_t len, address_t source, uint64_t now_ms, uint8_t* cookie,
) noexcept nogil
