"""A lane's mailbox: messages of the control thread, read before every batch.

A ring with one writer and one reader, no lock. Messages carry pointers to what the control thread made; the lane
acknowledges by moving `tail`, and what a message took away is freed when every lane has passed it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from rhp._fast.address cimport endpoint_t

cdef enum:
    MAILBOX_SIZE = 512

cdef enum mail_t:
    MAIL_ADD_PORT = 0
    MAIL_REMOVE_PORT
    MAIL_INSTALL
    MAIL_RETIRE
    MAIL_MIGRATE
    MAIL_OUTBOUND                   # This SA, or none, is the one to send with on the port.
    MAIL_PROBE                      # Send a packet of `octets` octets that says nothing.
    MAIL_ADD_HUB
    MAIL_REMOVE_HUB
    MAIL_TAP                        # `fd`, or -1 for none, is the lane's queue of a hub's TAP with those `offloads`.

ctypedef struct message_t:
    mail_t kind
    uint8_t encapsulation
    uint32_t octets
    void* port
    void* sa
    void* hub
    int fd
    int offloads
    uint32_t turn
    endpoint_t local
    endpoint_t remote

ctypedef struct mailbox_t:
    message_t* messages
    uint64_t head                   # The next to be written; the writer's.
    uint64_t gap[7]                 # Keeps the two on cache lines of their own.
    uint64_t tail                   # The next to be read; the reader's.

cdef int mailbox_init(mailbox_t* mailbox) noexcept nogil
cdef void mailbox_clear(mailbox_t* mailbox) noexcept nogil
# False when the ring is full.
cdef bint mailbox_post(mailbox_t* mailbox, const message_t* message) noexcept nogil
# The oldest message, or NULL; it stays in place until `mailbox_done`.
cdef const message_t* mailbox_peek(const mailbox_t* mailbox) noexcept nogil
cdef void mailbox_done(mailbox_t* mailbox) noexcept nogil
