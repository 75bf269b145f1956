"""Counting where processes connect, as the kernel is asked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "cookbook" / "count_connections.py"
found_at = spec_from_file_location("count_connections", SCRIPT)
assert found_at is not None
assert found_at.loader is not None
script = module_from_spec(found_at)
found_at.loader.exec_module(script)
ASKS = """
import socket, subprocess, sys
for family, address in (
    (socket.AF_INET, ("127.0.0.1", 9)), (socket.AF_INET6, ("::1", 9)), (socket.AF_INET, ("203.0.113.7", 80)),
    (socket.AF_INET, ("127.0.0.1", 53)),
):
    with socket.socket(family, socket.SOCK_DGRAM) as one:  # of datagrams: nothing is sent, nobody is asked
        one.connect(address)
if len(sys.argv) == 1:
    subprocess.run([sys.executable, "-I", "-c", sys.stdin.read(), "child"])
sys.exit(len(sys.argv) - 1)
"""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('connect(3, {sa_family=AF_UNIX, sun_path="/tmp/here"}, 110) = 0', ("unix", "")),
        ('connect(3, {sa_family=AF_UNIX, sun_path=@"abstract"}, 110) = 0', ("unix", "")),
        ('connect(3, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT', ("nscd", "")),
        (
            'connect(3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.2")}, 16) = 0',
            ("loopback", "127.0.0.2 port 80"),
        ),
        (
            'connect(3, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("127.0.0.53")}, 16) = 0',
            ("elsewhere", "127.0.0.53 port 53"),
        ),
        (
            "connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
            'inet_pton(AF_INET6, "::ffff:127.0.0.1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
            ("loopback", "127.0.0.1 port 443"),
        ),
        (
            "connect(3, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), "
            'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 ENETUNREACH',
            ("elsewhere", "2001:db8::1 port 443"),
        ),
        (
            'sendto(3, ""..., 5, 0, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("0.0.0.0")}, 16) = 5',
            ("elsewhere", "0.0.0.0 port 0"),
        ),
        ("sendto(4, [{nlmsg_len=20}], 20, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=0}, 12) = 20", ("netlink", "")),
        ('connect(3, {sa_family=AF_UNSPEC, sa_data=""}, 16) = 0', ("unspecified", "")),
        ("connect(3, {sa_family=AF_VSOCK, svm_cid=2, svm_port=9}, 16) = 0", ("elsewhere", "VSOCK")),
        ('sendto(3, ""..., 5, MSG_NOSIGNAL, NULL, 0) = 5', None),
    ],
)
def test_a_call_is_told_by_its_address(line: str, found: tuple[str, str] | None) -> None:
    assert script.destination(line) == found


def test_a_call_that_was_cut_in_two_counts_once() -> None:
    address = '{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("203.0.113.7")}'
    kinds, addresses = script.counted(
        [f"connect(3, {address}, 16 <unfinished ...>", f"<... connect resumed>{address}) = 0"]
    )
    assert (dict(kinds), dict(addresses)) == ({"elsewhere": 1}, {"203.0.113.7 port 80": 1})


@pytest.mark.skipif(shutil.which("strace") is None, reason="counts with strace")
def test_a_command_and_its_children_are_counted() -> None:
    # -I: without the environment, so that nothing of the tests' stops them before they ask the kernel.
    command = [sys.executable, str(SCRIPT), "--", sys.executable, "-I", "-c", ASKS]
    done = subprocess.run(command, input=ASKS, capture_output=True, text=True, check=False)
    assert "unix 0, nscd 0, loopback 4, netlink 0, unspecified 0, elsewhere 4" in done.stderr
    assert "2 203.0.113.7 port 80" in done.stderr
    assert "2 127.0.0.1 port 53" in done.stderr
    assert done.returncode == 3


@pytest.mark.skipif(shutil.which("strace") is None, reason="counts with strace")
@pytest.mark.parametrize(("status", "expected"), [(0, 0), (7, 7)])
def test_a_command_that_asks_nobody_ends_as_it_does_alone(
    status: int, expected: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert script.main(["--", sys.executable, "-I", "-S", "-c", f"raise SystemExit({status})"]) == expected
    assert "elsewhere 0" in capfd.readouterr().err


def test_without_strace_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="strace, which is not here"):
        script.main(["--", "true"])
