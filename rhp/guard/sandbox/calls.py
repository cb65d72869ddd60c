"""The system calls that the node has no use for, with their numbers on each architecture, by what they are good for.

What is left out of a machine's column it does not have. From 424 on all machines count alike.
"""

from __future__ import annotations

from typing import NamedTuple


class Machine(NamedTuple):
    """How the kernel tells an architecture in a filter, and its numbers of calls that are looked at more closely."""

    audit: int
    column: int
    clone: int
    socket: int
    socketpair: int
    prctl: int
    ioctl: int
    setsockopt: int


MACHINES = {
    "x86_64": Machine(0xC000003E, 0, 56, 41, 53, 157, 16, 54),
    "aarch64": Machine(0xC00000B7, 1, 220, 198, 199, 167, 29, 208),
}

CLONE3 = 435
X32_BIT = 0x40000000

_NONE = -1

_DENIED: dict[str, tuple[tuple[int, int], ...]] = {
    # execve, execveat, fork, vfork: the node starts no program.
    "programs": ((59, 221), (322, 281), (57, _NONE), (58, _NONE)),
    # ptrace, process_vm_readv, process_vm_writev, kcmp, process_madvise, pidfd_getfd, pidfd_send_signal.
    "other processes": ((101, 117), (310, 270), (311, 271), (312, 272), (440, 440), (438, 438), (424, 424)),
    # mount, umount2, pivot_root, chroot, open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr.
    "mounts": (
        *((165, 40), (166, 39), (155, 41), (161, 51)),
        *((number, number) for number in (428, 429, 430, 431, 432, 433, 442)),
    ),
    # unshare, setns: a namespace of one's own has all capabilities in it.
    "namespaces": ((272, 97), (308, 268)),
    # init_module, finit_module, delete_module, kexec_load, kexec_file_load, bpf, perf_event_open, syslog.
    "the kernel": ((175, 105), (313, 273), (176, 106), (246, 104), (320, 294), (321, 280), (298, 241), (103, 116)),
    # add_key, request_key, keyctl, userfaultfd, io_uring_setup, io_uring_enter, io_uring_register, memfd_secret:
    # where the kernel has been broken into most often.
    "keys and rings": (
        *((248, 217), (249, 218), (250, 219), (323, 282)),
        *((number, number) for number in (425, 426, 427, 447)),
    ),
    # name_to_handle_at, open_by_handle_at, mknod, mknodat, fanotify_init, quotactl, quotactl_fd, acct, swapon, swapoff.
    "files": (
        *((303, 264), (304, 265), (133, _NONE), (259, 33), (300, 262)),
        *((179, 60), (443, 443), (163, 89), (167, 224), (168, 225)),
    ),
    # reboot, sethostname, setdomainname, settimeofday, clock_settime, adjtimex, clock_adjtime, iopl, ioperm,
    # modify_ldt, personality, vhangup.
    "the machine": (
        *((169, 142), (170, 161), (171, 162), (164, 170), (227, 112), (159, 171), (305, 266)),
        *((172, _NONE), (173, _NONE), (154, _NONE), (135, 92), (153, 58)),
    ),
    # setuid, setgid, setreuid, setregid, setgroups, setresuid, setresgid, setfsuid, setfsgid, capset.
    "users": (
        *((105, 146), (106, 144), (113, 145), (114, 143), (116, 159), (117, 147), (119, 149)),
        *((122, 151), (123, 152), (126, 91)),
    ),
    # migrate_pages, move_pages.
    "memory": ((256, 238), (279, 239)),
}


def denied(machine: Machine) -> list[int]:
    """The numbers of all these calls on this machine."""
    numbers = [pair[machine.column] for pairs in _DENIED.values() for pair in pairs]
    return sorted({number for number in numbers if number != _NONE})
