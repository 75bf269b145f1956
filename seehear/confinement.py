"""What a decoding process gives up before it sees a file that nobody should trust.

Everywhere but on Windows: memory dumps and writing to files; on Linux also memory beyond a limit, and, by a filter of
system calls (seccomp, https://docs.kernel.org/userspace-api/seccomp_filter.html), sockets, other programs, signals to
other processes, and every way to change a file or its name. The filter names what is refused and lets all else pass:
it is a second wall behind decoders that are kept up to date, not a virtual machine. Files may still be read.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from contextlib import suppress

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

REFUSED = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chmod": (90, None),
    "chown": (92, None),
    "chroot": (161, 51),
    "connect": (42, 203),
    "creat": (85, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "file_setattr": (469, 469),
    "finit_module": (313, 273),
    "fremovexattr": (199, 16),
    "fsetxattr": (190, 7),
    "futimesat": (261, None),
    "init_module": (175, 105),
    "io_uring_setup": (425, 425),
    "keyctl": (250, 219),
    "lchown": (94, None),
    "link": (86, None),
    "linkat": (265, 37),
    "lremovexattr": (198, 15),
    "lsetxattr": (189, 6),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "mount": (165, 40),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "open_by_handle_at": (304, 265),
    "openat2": (437, 437),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "removexattr": (197, 14),
    "removexattrat": (466, 466),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "request_key": (249, 218),
    "rmdir": (84, None),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setns": (308, 268),
    "setxattr": (188, 5),
    "setxattrat": (463, 463),
    "socket": (41, 198),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "tkill": (200, 130),
    "truncate": (76, 45),
    "umount2": (166, 39),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "utime": (132, None),
    "utimensat": (280, 88),
    "utimes": (235, None),
}
"""System calls and their numbers on x86-64 and on 64-bit ARM, of the kernel's tables syscall_64.tbl and unistd.h."""
OPEN, OPENAT = (2, None), (257, 56)
"""Refused with what writes."""
SIGNALS = {"kill": (62, 129), "tgkill": (234, 131)}
"""Refused but to itself: so a library ends that has lost its way."""
LIMITS = (302, 261)
"""prlimit64: refused but to itself, which it calls 0; a limit of another process may end it."""
COMMANDS = {"ioctl": ((16, 29), (0x5412, 0x541C, 0x540E, 0x40086602, 0x401C5820)), "fcntl": ((72, 25), (8, 10, 15))}
"""Refused with some commands: keys pressed in a terminal, flags of a file; whom the kernel is to send signals to."""
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Column of the numbers, and the kernel's AUDIT_ARCH."""
SECCOMP = (317, 277)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LOAD, EQUAL, AND_ANY, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
"""Instructions of classic BPF: load a word of the call, jump if it is equal, has any of some bits, is no less; end."""
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
NUMBER, MACHINE, FIRST, SECOND, THIRD = 0, 4, 16, 24, 32
"""Offsets in the kernel's `seccomp_data`; of an argument its low half."""
FOREIGN = 0x40000000
"""From this number on calls are those of another interface of the same processor (x32)."""
Instruction = tuple[int, int, int, int]


def confine(memory: int, *, writes: bool = False) -> str:
    """Give up for this process, for good, what decoding does not need; what could not be given up, in words.

    `memory` is the bytes that it may take beyond those that it has. What `writes` may write to files that are open.
    """
    if resource is None:
        return "this system has no limits for processes"
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, _data() + memory)]
    for limit, most in limits if writes else [*limits, (resource.RLIMIT_FSIZE, 0)]:
        with suppress(OSError, ValueError):  # it is lower already
            resource.setrlimit(limit, (most, most))
    return _filtered()


def allow_time(seconds: float) -> None:
    """Let this process take so many seconds more of a processor, and then be ended (SIGXCPU)."""
    if resource is not None:
        taken = resource.getrusage(resource.RUSAGE_SELF)
        most = int(taken.ru_utime + taken.ru_stime + seconds) + 1
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _data() -> int:
    """Bytes of memory that this process has for itself, as RLIMIT_DATA counts them."""
    with suppress(OSError), open("/proc/self/status", encoding="ascii") as file:  # noqa: PTH123 - nothing is imported
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) << 10
    return 0


def _filtered() -> str:
    """Install the filter of system calls for all threads, also those of libraries; why not, if it cannot be."""
    found = MACHINES.get(platform.machine()) if sys.platform == "linux" else None
    if found is None:
        return f"there is no filter of system calls for {platform.system()} on {platform.machine()}"
    column, machine = found
    written = _program(column, machine, os.getpid())
    body = b"".join(
        code.to_bytes(2, sys.byteorder) + bytes((yes, no)) + value.to_bytes(4, sys.byteorder)
        for code, yes, no, value in written
    )
    held = ctypes.create_string_buffer(body, len(body))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    program = Program(len(written), ctypes.addressof(held))
    system = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, filter_mode, all_threads = 38, 1, 1
    if system.prctl(no_new_privileges, 1, 0, 0, 0) or system.syscall(
        SECCOMP[column], filter_mode, all_threads, ctypes.byref(program)
    ):
        return f"the system refuses a filter of system calls ({os.strerror(ctypes.get_errno())})"
    return ""


def _program(column: int, machine: int, process: int) -> list[Instruction]:
    """The filter: what is refused fails with EPERM, so that a library goes on or says so."""
    refuse, allow = (RETURN, 0, 0, REFUSE | errno.EPERM), (RETURN, 0, 0, ALLOW)
    lines: list[Instruction] = [
        (LOAD, 0, 0, MACHINE),
        (EQUAL, 1, 0, machine),
        refuse,
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, FOREIGN),
        refuse,
    ]
    for numbers in REFUSED.values():
        if (number := numbers[column]) is not None:
            lines += [(EQUAL, 0, 1, number), refuse]
    for number, flags in ((OPEN[column], SECOND), (OPENAT[column], THIRD)):
        if number is not None:
            lines += [(EQUAL, 0, 4, number), (LOAD, 0, 0, flags), (AND_ANY, 0, 1, WRITES), refuse, allow]
    for signals in SIGNALS.values():
        lines += [(EQUAL, 0, 4, signals[column]), (LOAD, 0, 0, FIRST), (EQUAL, 1, 0, process), refuse, allow]
    lines += [(EQUAL, 0, 4, LIMITS[column]), (LOAD, 0, 0, FIRST), (EQUAL, 1, 0, 0), refuse, allow]
    for call, commands in COMMANDS.values():
        lines += [(EQUAL, 0, 2 * len(commands) + 2, call[column]), (LOAD, 0, 0, SECOND)]
        lines += [line for command in commands for line in ((EQUAL, 0, 1, command), refuse)]
        lines += [allow]
    return [*lines, allow]
