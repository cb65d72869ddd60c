"""Sockets as the lanes use them: addresses, message batches, packet information, classic BPF. Declarations only."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t

from linux_system cimport iovec

cdef extern from "sys/socket.h" nogil:
    ctypedef unsigned int socklen_t
    enum:
        AF_INET
        AF_INET6
        SOL_SOCKET
        MSG_DONTWAIT
        MSG_TRUNC
        SO_MEMINFO
        SO_ATTACH_FILTER
        SO_ATTACH_REUSEPORT_CBPF
    struct sockaddr:
        pass
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr* CMSG_FIRSTHDR(msghdr* message)
    cmsghdr* CMSG_NXTHDR(msghdr* message, cmsghdr* control)
    uint8_t* CMSG_DATA(cmsghdr* control)
    size_t CMSG_LEN(size_t length)
    size_t CMSG_SPACE(size_t length)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length)
    int getsockname(int fd, sockaddr* address, socklen_t* length)
    ssize_t sendmsg(int fd, const msghdr* message, int flags)
    int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags)
    int recvmmsg(int fd, mmsghdr* messages, unsigned int count, int flags, void* timeout)

cdef extern from "netinet/in.h" nogil:
    enum:
        IPPROTO_IP
        IPPROTO_IPV6
        IP_PKTINFO
        IP_MTU_DISCOVER
        IP_PMTUDISC_PROBE
        IPV6_PKTINFO
        IPV6_MTU_DISCOVER
        IPV6_RECVPKTINFO
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        uint16_t sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_family
        uint16_t sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    struct in_pktinfo:
        int ipi_ifindex
        in_addr ipi_spec_dst
        in_addr ipi_addr
    struct in6_pktinfo:
        in6_addr ipi6_addr
        unsigned int ipi6_ifindex

cdef extern from "netinet/udp.h" nogil:
    enum:
        SOL_UDP
        UDP_SEGMENT
        UDP_GRO

cdef extern from "linux/sock_diag.h" nogil:
    enum:
        SK_MEMINFO_DROPS
        SK_MEMINFO_VARS

cdef extern from "arpa/inet.h" nogil:
    int inet_pton(int family, const char* text, void* address)
    const char* inet_ntop(int family, const void* address, char* text, socklen_t size)

cdef extern from "linux/filter.h" nogil:
    struct sock_filter:
        uint16_t code
        uint8_t jt
        uint8_t jf
        uint32_t k
    struct sock_fprog:
        unsigned short len
        sock_filter* filter
    enum:
        BPF_LD
        BPF_LDX
        BPF_W
        BPF_B
        BPF_ABS
        BPF_IND
        BPF_MSH
        BPF_ALU
        BPF_ADD
        BPF_AND
        BPF_LEN
        BPF_MOD
        BPF_JMP
        BPF_JEQ
        BPF_JGE
        BPF_K
        BPF_A
        BPF_RET
