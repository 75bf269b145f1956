"""That a test run which tries to leave this machine fails, whoever tries, and others do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from offline import local, stays_here

SUPPORT = Path(__file__).parent / "support"
INNER = """
import os, socket, subprocess, sys
import pytest

def child(code):
    return subprocess.run([sys.executable, "-c", "import socket; " + code], capture_output=True, text=True).stderr

def test_tries_by_name_in_a_child():
    assert "leaves this machine" in child("socket.create_connection(('nobody.invalid', 80), 1)")

def test_tries_by_number_in_a_child():
    assert "leaves this machine" in child("socket.socket(2, 2).connect(('203.0.113.7', 80))")

def test_listens_to_everybody_in_a_child():
    assert "leaves this machine" in child("socket.socket().bind(('0.0.0.0', 0))")

def test_tries_itself():
    with pytest.warns(UserWarning), pytest.raises(RuntimeError):
        socket.socket()
"""
STAYS = """
@pytest.mark.tries_network
def test_is_about_that():
    assert "leaves this machine" in child("socket.socket(2, 2).connect(('203.0.113.7', 80))")

@pytest.mark.allow_hosts(["127.0.0.1"])
def test_talks_to_itself():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()

def test_talks_by_a_path_in_a_child(tmp_path):
    assert child(f"socket.socket(socket.AF_UNIX).bind({str(tmp_path / 's')!r})") == ""
"""


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """A test run of its own, that is watched; nothing that watches this one watches it."""
    (folder / "test_inner.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "offline", "--disable-socket", "--allow-unix-socket"]
    environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", "."], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_run_that_tried_fails_though_its_tests_pass(tmp_path: Path) -> None:
    done = run(tmp_path, INNER)
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert "attempts to leave this machine: 4" in done.stdout
    for one in ("socket.getaddrinfo\t'nobody.invalid'", "('203.0.113.7', 80)", "('0.0.0.0', 0)", "::test_tries_itself"):
        assert one in done.stdout
    assert done.returncode == 1


def test_a_run_that_stayed_here_does_not(tmp_path: Path) -> None:
    head, _, _ = INNER.partition("def test_")
    done = run(tmp_path, head + STAYS)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert "attempts to leave this machine: 0" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", b"127.0.0.1", "::1", "localhost", None])
def test_these_are_this_machine(host: str | bytes | None) -> None:
    assert local(host)


EVERYBODY = "0.0.0.0"  # noqa: S104 - nobody listens there


@pytest.mark.parametrize("host", [EVERYBODY, "", "127.0.0.1.example", "127.1", "8.8.8.8", "::", "localhost.example"])
def test_these_are_others(host: str) -> None:
    assert not local(host)


def test_what_has_no_host_stays_here() -> None:
    assert stays_here("/tmp/socket")  # noqa: S108 - nothing is made there
    assert stays_here((0, 0))  # netlink
    assert not stays_here(("203.0.113.7", 80))
