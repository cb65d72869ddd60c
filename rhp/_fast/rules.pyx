"""Which lane gets a packet."""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from linux_socket cimport *

cdef enum:
    ACCEPT = 0x40000
    RULES = 2
    SPI_OCTETS = 4
    IKE_EXCHANGE = 18               # Offsets in the IKE header.
    IKE_FLAGS = 19
    IKE_SA_INIT = 34
    IKE_SESSION_RESUME = 38
    IKE_ROLE = 0x28                 # The flags of initiator and response, and what they are in a first message.
    IKE_FIRST = 0x08


cdef inline void put(sock_filter* program, int* length, int code, uint32_t k, int when, int otherwise) noexcept nogil:
    program[length[0]].code = <uint16_t>code
    program[length[0]].k = k
    program[length[0]].jt = <uint8_t>when
    program[length[0]].jf = <uint8_t>otherwise
    length[0] += 1


cdef int attach(int fd, int option, sock_filter* program, int length) noexcept nogil:
    cdef sock_fprog code
    code.len = <unsigned short>length
    code.filter = program
    return 0 if setsockopt(fd, SOL_SOCKET, option, &code, sizeof(code)) == 0 else errno


cdef void put_doors(sock_filter* program, int* length, uint32_t ike) noexcept nogil:
    """The end of a program that has found IKE at `ike`. What is too short to tell goes to the first socket."""
    put(program, length, BPF_LD | BPF_B | BPF_ABS, ike + IKE_EXCHANGE, 0, 0)
    put(program, length, BPF_JMP | BPF_JEQ | BPF_K, IKE_SA_INIT, 1, 0)
    put(program, length, BPF_JMP | BPF_JEQ | BPF_K, IKE_SESSION_RESUME, 0, 4)
    put(program, length, BPF_LD | BPF_B | BPF_ABS, ike + IKE_FLAGS, 0, 0)
    put(program, length, BPF_ALU | BPF_AND | BPF_K, IKE_ROLE, 0, 0)
    put(program, length, BPF_JMP | BPF_JEQ | BPF_K, IKE_FIRST, 0, 1)
    put(program, length, BPF_RET | BPF_K, 1, 0, 0)
    put(program, length, BPF_RET | BPF_K, 0, 0, 0)


cdef int group_ike(int fd) noexcept nogil:
    cdef sock_filter program[8]
    cdef int length = 0
    put_doors(program, &length, 0)
    return attach(fd, SO_ATTACH_REUSEPORT_CBPF, program, length)


cdef int group_by_spi(int fd, int lanes, int doors) noexcept nogil:
    cdef sock_filter program[16]
    cdef int length = 0
    if doors:
        put(program, &length, BPF_LD | BPF_W | BPF_LEN, 0, 0, 0)
        put(program, &length, BPF_JMP | BPF_JGE | BPF_K, SPI_OCTETS, 1, 0)
        put(program, &length, BPF_RET | BPF_K, doors, 0, 0)
    # The program sees the UDP payload.
    put(program, &length, BPF_LD | BPF_W | BPF_ABS, 0, 0, 0)
    if doors:
        put(program, &length, BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0)
    put(program, &length, BPF_ALU | BPF_MOD | BPF_K, lanes, 0, 0)
    put(program, &length, BPF_ALU | BPF_ADD | BPF_K, doors, 0, 0)
    put(program, &length, BPF_RET | BPF_A, 0, 0, 0)
    if doors:
        put_doors(program, &length, SPI_OCTETS)
    return attach(fd, SO_ATTACH_REUSEPORT_CBPF, program, length)


cdef int raw_by_spi(int fd, int family, int lane, int lanes) noexcept nogil:
    cdef sock_filter program[6]
    cdef int length = 0
    if family == AF_INET:
        # X = 4 * IHL, then the word behind the IP header.
        put(program, &length, BPF_LDX | BPF_B | BPF_MSH, 0, 0, 0)
        put(program, &length, BPF_LD | BPF_W | BPF_IND, 0, 0, 0)
    else:
        put(program, &length, BPF_LD | BPF_W | BPF_ABS, 0, 0, 0)
    put(program, &length, BPF_ALU | BPF_MOD | BPF_K, lanes, 0, 0)
    put(program, &length, BPF_JMP | BPF_JEQ | BPF_K, lane, 0, 1)
    put(program, &length, BPF_RET | BPF_K, ACCEPT, 0, 0)
    put(program, &length, BPF_RET | BPF_K, 0, 0, 0)
    return attach(fd, SO_ATTACH_FILTER, program, length)


cdef int tap_by_flow(int fd) noexcept nogil:
    """The kernel does this by itself."""
    return 0


cdef int tap_by_station(int fd) noexcept nogil:
    """The guard gave the device its program when it made it, which takes a privilege (rhp.guard.steering)."""
    return 0


cdef rule_t rules[RULES]
rules[0].name = b"flow"
rules[0].group = group_by_spi
rules[0].raw = raw_by_spi
rules[0].tap = tap_by_flow
rules[1].name = b"station"
rules[1].group = group_by_spi
rules[1].raw = raw_by_spi
rules[1].tap = tap_by_station


cdef const rule_t* rule_find(str name) except NULL:
    cdef int index
    for index in range(RULES):
        if rules[index].name.decode("ascii") == name:
            return &rules[index]
    raise ValueError(f"there is no steering {name!r}")
