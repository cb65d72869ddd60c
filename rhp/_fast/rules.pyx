"""Which lane gets an inbound packet."""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from linux_socket cimport *

cdef enum:
    ACCEPT = 0x40000


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


cdef int rules_for_group(int fd, int lanes) noexcept nogil:
    cdef sock_filter program[3]
    cdef int length = 0
    # The program sees the UDP payload.
    put(program, &length, BPF_LD | BPF_W | BPF_ABS, 0, 0, 0)
    put(program, &length, BPF_ALU | BPF_MOD | BPF_K, lanes, 0, 0)
    put(program, &length, BPF_RET | BPF_A, 0, 0, 0)
    return attach(fd, SO_ATTACH_REUSEPORT_CBPF, program, length)


cdef int rules_for_raw(int fd, int family, int lane, int lanes) noexcept nogil:
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
