"""Whether a test run, or any Python process that it starts, tries to leave this machine: counted, refused, and told.

A plugin of pytest. Its hook sees what Python's own `socket` is asked for, whoever asks; libraries in Rust or C++ that
open sockets by themselves are seen by `cookbook/count_connections.py`. Child processes are watched through a
`sitecustomize` on PYTHONPATH, so not those that are started without the environment. It imports nothing heavy: it runs
at the beginning of each of them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

LOG = "SEEHEAR_ATTEMPTS"
"""Variable with the path of the file that attempts are written to, a line each, by whichever process."""
BY_ADDRESS = ("socket.bind", "socket.connect", "socket.sendmsg", "socket.sendto")
BY_NAME = ("socket.getaddrinfo", "socket.gethostbyaddr", "socket.gethostbyname")
MEANT = "tries_network"
"""Mark of tests that are about what happens when somebody tries: their attempts are refused and not counted."""
CHILD = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("offline", {path!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.watch({log!r})
"""


def stays_here(address: Any) -> bool:
    """Whether an address, as `socket` takes it, is this machine: a path (AF_UNIX), loopback, or none at all."""
    if address is None or isinstance(address, (str, bytes)):
        return True
    if not isinstance(address, tuple) or not isinstance(address[0], (str, bytes)):
        return True  # netlink and its like
    return local(address[0])


def local(host: Any) -> bool:
    """Whether a host, name or number, is loopback. Nothing is looked up; 0.0.0.0, which is everybody, is not."""
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, (bytes, bytearray)) else str(host)
    numbers = name.split(".")
    loopback = numbers[0] == "127" and len(numbers) == 4 and all(one.isdecimal() for one in numbers)
    return loopback or name in ("localhost", "::1")


def watch(log: str) -> None:
    """From now on, and for the life of the process, write down attempts to leave this machine, and refuse them."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)  # now: a confined process opens no file

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in BY_ADDRESS:
            where = arguments[1]
            if stays_here(where):
                return
        elif event in BY_NAME:
            where = arguments[0]
            if local(where):
                return
        else:
            return
        write(file, event, where)
        raise OSError(101, f"{event}: no test leaves this machine", str(where))

    sys.addaudithook(hook)


def write(file: int, event: str, where: Any) -> None:
    """Add a line to the log: process, event, address, test."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "outside of tests").partition(" (")[0]
    line = f"{os.getpid()}\t{event}\t{where!r}\t{test}\t{os.environ.get(MEANT, '')}\n"
    try:
        os.write(file, line.encode("utf-8", "backslashreplace"))
    except OSError:  # a confined process writes to no file; it is refused all the same
        sys.stderr.write(line)


def attempts(log: Path) -> list[str]:
    """What was written down, less what tests were about."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.rstrip("\t") for line in lines if not line.endswith("\tmeant")]


class Offline:
    """The plugin: watches from the beginning of a run to its end, and makes it fail if anything was tried."""

    def __init__(self, folder: Path) -> None:
        """Watch this process, and have its children watched; both files are in `folder`."""
        self.log = folder / "attempts.txt"
        os.environ[LOG] = str(self.log)
        (folder / "sitecustomize.py").write_text(CHILD.format(path=__file__, log=str(self.log)))
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before}" if before else str(folder)
        watch(str(self.log))
        self._file = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        self._count_what_is_blocked()

    def _count_what_is_blocked(self) -> None:
        """pytest-socket lets nobody have a socket at all, before there is any event: that is an attempt too."""
        import pytest_socket

        def told(kind: Any) -> None:
            first = kind.__init__

            def init(this: Any, *arguments: Any, **named: Any) -> None:
                write(self._file, kind.__name__, arguments)
                first(this, *arguments, **named)

            kind.__init__ = init

        for kind in (pytest_socket.SocketBlockedError, pytest_socket.SocketConnectBlockedError):
            told(kind)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        os.environ[MEANT] = "meant" if item.get_closest_marker(MEANT) else ""

    def pytest_runtest_teardown(self) -> None:
        os.environ.pop(MEANT, None)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if attempts(self.log) and session.exitstatus == 0:
            session.exitstatus = 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        found = attempts(self.log)
        terminalreporter.write_line(f"attempts to leave this machine: {len(found)}")
        for line in found[:20]:
            terminalreporter.write_line(f"  {line}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch, once, in a folder that goes with the process."""
    import tempfile

    config.addinivalue_line("markers", f"{MEANT}: is about what happens when somebody tries to reach the network")
    folder = tempfile.TemporaryDirectory(prefix="offline")
    config.add_cleanup(folder.cleanup)
    config.pluginmanager.register(Offline(Path(folder.name)), "offline-watch")
