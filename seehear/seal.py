"""A seal on files that nobody may touch while a library is closed: their sizes, times and SHA-256.

It is broken when they are opened, and set when they are closed. Without one nobody knows what they should be: a process
was killed, and what it left has to be looked at.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path


class Seal:
    """One file beside those that it is about."""

    def __init__(self, path: Path, files: Callable[[], Iterable[Path]]) -> None:
        """`files` lists what is sealed, below the folder that `path` is in."""
        self._path, self._files = path, files
        self._known: dict[str, tuple[int, int, str]] = {}
        """What each file was when it was last looked at: size, time of change (ns), hash."""

    def broken(self) -> list[str] | None:
        """Names of files that are not what they were; none if all is well; None if there is no seal.

        A file that only its time tells from what it was is read, as those of a copied library are.
        """
        try:
            told = json.loads(self._path.read_text())
            sealed = {
                str(name): (int(size), int(changed), str(digest)) for name, size, changed, digest in told["files"]
            }
        except (OSError, ValueError, KeyError, TypeError):
            return None
        if told.get("check") != _check(told["files"]):
            return None
        self._known = sealed
        return [name for name, what in sealed.items() if self._look(name) != what[2]]

    def lift(self) -> None:
        """Take it off, since files may change from now on."""
        self._path.unlink(missing_ok=True)

    def set(self) -> None:
        """Put it on, now that everything is written. Raises OSError."""
        draft = self._path.with_suffix(".new")
        draft.unlink(missing_ok=True)  # of a seal that could not be set, as the disk was full
        names = sorted(str(path.relative_to(self._path.parent)) for path in self._files() if path != self._path)
        for name in names:
            self._look(name)
        files = [[name, *self._known[name]] for name in names if name in self._known]
        draft.write_text(json.dumps({"files": files, "check": _check(files)}))
        draft.replace(self._path)

    def _look(self, name: str) -> str | None:
        """The hash of a file; None if it is not there. What has not changed since is not read again."""
        try:
            with (self._path.parent / name).open("rb") as file:
                status = os.fstat(file.fileno())
                known = self._known.get(name)
                if known and known[:2] == (status.st_size, status.st_mtime_ns):
                    return known[2]
                os.fsync(file.fileno())  # a seal must not outlive what it is about
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        self._known[name] = (status.st_size, status.st_mtime_ns, digest)
        return digest


def _check(files: object) -> str:
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()
