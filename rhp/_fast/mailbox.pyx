"""A lane's mailbox."""

from libc.stdlib cimport calloc, free

from atomic cimport ACQUIRE, RELEASE, load64, store64


cdef int mailbox_init(mailbox_t* mailbox) noexcept nogil:
    mailbox.head = mailbox.tail = 0
    mailbox.messages = <message_t*>calloc(MAILBOX_SIZE, sizeof(message_t))
    return 0 if mailbox.messages != NULL else -1


cdef void mailbox_clear(mailbox_t* mailbox) noexcept nogil:
    free(mailbox.messages)
    mailbox.messages = NULL


cdef bint mailbox_post(mailbox_t* mailbox, const message_t* message) noexcept nogil:
    if mailbox.head - load64(&mailbox.tail, ACQUIRE) >= MAILBOX_SIZE:
        return False
    mailbox.messages[mailbox.head % MAILBOX_SIZE] = message[0]
    store64(&mailbox.head, mailbox.head + 1, RELEASE)
    return True


cdef const message_t* mailbox_peek(const mailbox_t* mailbox) noexcept nogil:
    if load64(&mailbox.head, ACQUIRE) == mailbox.tail:
        return NULL
    return mailbox.messages + mailbox.tail % MAILBOX_SIZE


cdef void mailbox_done(mailbox_t* mailbox) noexcept nogil:
    store64(&mailbox.tail, mailbox.tail + 1, RELEASE)
