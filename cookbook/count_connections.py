"""Run a command, and count where its processes want to connect, as the kernel is asked: in Python, Rust or C++ alike.

    python cookbook/count_connections.py [--keep FOLDER] -- COMMAND ...
    python cookbook/count_connections.py -- .venv/bin/python -m pytest -q tests/stores

It needs strace, so Linux. What the command prints comes first. Then, on standard error, how many times one of its
processes connected a socket, or sent something from one that is not connected, to

- unix: a socket that has a path or a name on this machine;
- nscd: among those, the system's cache of names, of which a program only asks whether it is there;
- loopback: 127.0.0.0/8 or ::1, but for their port 53;
- netlink, unspecified: the kernel itself, and the end of a connection;
- elsewhere: any other machine, and a name server, even if it runs here: each address with its count.

With --keep, what strace wrote is left in FOLDER, a file for each process or thread, with what was started and sent: it
tells who asked for what. Of a process that was started, the first line is its command.

It ends with the command's exit status, or with 3 if that is 0 and anything went elsewhere. Three times as slow as the
command alone where that starts many processes, and hardly slower where it computes.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

CALLS = ("connect", "sendto", "sendmsg", "sendmmsg")
ELSEWHERE = 3
"""Exit status where a command succeeded and something went elsewhere."""
KINDS = ("unix", "nscd", "loopback", "netlink", "unspecified", "elsewhere")
FAMILY = re.compile(r"sa_family=AF_(\w+)")
PORT = re.compile(r"sin6?_port=htons\((\d+)\)")
NUMBER = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')


def traced(command: Sequence[str], folder: Path, shown: int = 0) -> int:
    """Run a command; what its processes ask the kernel for is in files of `folder`, one each. Returns its status.

    `shown` is how many bytes of each string are: of none, nothing that is sent could look like an address.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise SystemExit("This counts with strace, which is not here: install it (apt install strace); Linux only.")
    calls = ",".join([*CALLS, *(["execve"] if shown else [])])
    options = ["-ff", "-qqq", "-s", str(shown), "-e", "signal=none", "-e", f"trace={calls}"]
    given = [strace, "--seccomp-bpf", *options, "-o", str(folder / "calls"), "--", *command]
    return subprocess.run(given, check=False).returncode


def destination(line: str) -> tuple[str, str] | None:
    """Kind and address of a call, as strace writes it down; None where it names none (a socket that is connected)."""
    found = FAMILY.search(line)
    if found is None:
        return None
    match found[1]:
        case "UNIX" | "LOCAL":
            return ("nscd" if "/nscd/" in line else "unix"), ""
        case "NETLINK":
            return "netlink", ""
        case "UNSPEC":
            return "unspecified", ""
        case "INET" | "INET6":
            port, number = PORT.search(line), NUMBER.search(line)
            if port is None or number is None:
                return "elsewhere", line
            address = ipaddress.ip_address(number[1] or number[2])
            address = (address.ipv4_mapped if address.version == 6 else None) or address
            here = address.is_loopback and port[1] != "53"
            return ("loopback" if here else "elsewhere"), f"{address} port {port[1]}"
    return "elsewhere", found[1]


def counted(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """How many calls there were of each kind, and of each address elsewhere."""
    kinds: Counter[str] = Counter()
    addresses: Counter[str] = Counter()
    for line in lines:
        # strace cuts a call of which another thread's comes between; the first half names the address.
        if line.startswith("execve(") or "resumed>" in line or (to := destination(line)) is None:
            continue
        kinds[to[0]] += 1
        if to[0] == "elsewhere":
            addresses[to[1]] += 1
    return kinds, addresses


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, count, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave what strace wrote there")
    parser.add_argument("command", nargs="+", help="behind --, what is to be run, with its arguments")
    given = parser.parse_args(arguments)
    with TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        status = traced(given.command, folder, 200 if given.keep else 0)
        files = sorted(folder.glob("calls.*"))
        kinds, addresses = counted(line for file in files for line in file.read_text(errors="replace").splitlines())
    told = ", ".join(f"{kind} {kinds[kind]}" for kind in KINDS)
    print(f"{len(files)} processes and threads; {told}", file=sys.stderr)
    for address, count in addresses.most_common():
        print(f"  {count:6} {address}", file=sys.stderr)
    return status or (ELSEWHERE if addresses else 0)


if __name__ == "__main__":
    sys.exit(main())
