"""Loading a program into the kernel, and giving it to a TAP. Declarations only."""

from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t, uint64_t

cdef extern from "linux/bpf.h" nogil:
    struct bpf_insn:
        uint8_t code
        uint8_t dst_reg
        uint8_t src_reg
        int16_t off
        int32_t imm
    # The part of the union that loads a program.
    union bpf_attr:
        uint32_t prog_type
        uint32_t insn_cnt
        uint64_t insns
        uint64_t license
    enum:
        BPF_PROG_LOAD
        BPF_PROG_TYPE_SOCKET_FILTER
        BPF_ALU64
        BPF_MOV
        BPF_X
        BPF_EXIT

cdef extern from "linux/if_tun.h" nogil:
    enum:
        TUNSETSTEERINGEBPF

cdef extern from "sys/syscall.h" nogil:
    enum:
        SYS_bpf

cdef extern from "sys/ioctl.h" nogil:
    int ioctl(int fd, unsigned long request, ...)

cdef extern from "unistd.h" nogil:
    long syscall(long number, ...)
