"""Who opens what: the kernel's word for a folder (inotify), and Python's for this process and for those that decode."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

OPEN, ACCESS = 0x20, 0x1
"""Of inotify(7): opened; read from."""
CALLS = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"})
"""Events of Python (PEP 578) when somebody is called, or looked up."""
HOOK = """
import sys
sys.path.append({support!r})
from watched_opens import Hook
sys.path.pop()
Hook({fifo!r}, {own!r}).on = True
"""
"""What a decoding process runs at its start. It confines itself later: what it reports to must be open by then."""


class Watch:
    """What is opened of a folder and of all below it, by any process and in any language. Linux alone has it."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._names: dict[int, str] = {}
        # A file too, and not its folder alone: one that is opened by another name (a hard link) is told of by itself.
        for path in (folder, *sorted(folder.rglob("*"))):
            number = libc.inotify_add_watch(self._descriptor, os.fsencode(path), OPEN | ACCESS)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._names[number] = path.relative_to(folder.parent).as_posix()

    def told(self) -> list[str]:
        """What happened since it was asked last: `opened secret/picture.png`, `read secret/picture.png`."""
        found: list[str] = []
        with suppress(BlockingIOError):
            while data := os.read(self._descriptor, 1 << 16):
                while data:
                    number, happened, _, length = struct.unpack_from("iIII", data)
                    name = data[16 : 16 + length].rstrip(b"\0").decode()
                    data = data[16 + length :]
                    did = "opened" if happened & OPEN else "read"
                    found.append(f"{did} {'/'.join(filter(None, (self._names.get(number, '?'), name)))}")
        return found

    def close(self) -> None:
        os.close(self._descriptor)


class Hook:
    """Reports what Python opens outside of `own` folders, and whom it calls; it stays until the process ends."""

    def __init__(self, fifo: str, own: Sequence[str]) -> None:
        self.on = False
        self._own = tuple(own)
        # A question that is given as bytes is such a file while it is asked; `tempfile` tells only of its folder.
        self._temporary = os.path.realpath(tempfile.gettempdir())
        self._to = os.open(fifo, os.O_WRONLY)
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        with suppress(OSError, ValueError):
            if event == "open" and isinstance(arguments[0], (str, bytes)):
                path = os.path.realpath(os.fsdecode(arguments[0]))
                if not self._ours(path):
                    os.write(self._to, f"open {path!a:.900}\n".encode())
            elif event in CALLS:
                os.write(self._to, f"{event} {arguments!a:.900}\n".encode())

    def _ours(self, path: str) -> bool:
        if any(path == one or path.startswith(one + os.sep) for one in self._own):
            return True
        own_memory = path == f"/proc/{os.getpid()}/status"  # a process that confines itself asks how much it has
        asked = path == self._temporary or path.startswith(os.path.join(self._temporary, "seehear-"))  # noqa: PTH118
        return own_memory or asked or os.path.basename(path).startswith("<")  # noqa: PTH119 - code that has no file


class Listeners:
    """A hook in this process, and one in each process that is started with `path` in front of its imports."""

    def __init__(self, folder: Path, own: Sequence[Path]) -> None:
        """`folder` is where the FIFO and the hook of other processes are put; what is in `own` may be opened."""
        fifo, code = folder / "reports", folder / "hook"
        code.mkdir()
        os.mkfifo(fifo, 0o600)
        self.path = str(code)
        self._reports: list[str] = []
        self._asked = threading.Event()
        # Open for both, so that it never ends; nobody who writes has to wait, for a thread reads along.
        self._descriptor = os.open(fifo, os.O_RDWR)
        threading.Thread(target=self._read, daemon=True).start()
        ours = (*own, Path(__file__).parents[2], Path(sys.prefix), Path(sys.base_prefix), fifo)
        places = [os.path.realpath(one) for one in ours]
        support = str(Path(__file__).parent)
        (code / "sitecustomize.py").write_text(HOOK.format(support=support, fifo=str(fifo), own=places))
        self._hook = Hook(str(fifo), places)

    def _read(self) -> None:
        with os.fdopen(self._descriptor, "rb") as fifo:
            for line in fifo:
                if line == b"asked\n":
                    self._asked.set()
                else:
                    self._reports.append(line.decode().rstrip("\n"))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Let those who are started inside report, and this process."""
        sys.path.insert(0, self.path)
        self._hook.on = True
        try:
            yield
        finally:
            self._hook.on = False
            sys.path.remove(self.path)

    def told(self) -> list[str]:
        """What was reported since it was asked last."""
        self._asked.clear()
        os.write(self._descriptor, b"asked\n")  # behind all that was written before
        assert self._asked.wait(10)
        found, self._reports = self._reports, []
        return found
