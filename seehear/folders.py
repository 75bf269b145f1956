"""The folders that were added, and the files below them. A file's key is its folder's name and its path below that."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seehear.decoder import Job
from seehear.errors import InputError
from seehear.handle import LEADS_OUT, away, real
from seehear.ledger import Ledger
from seehear.records import Known
from seehear.sidecar import is_sidecar
from seehear.types import Channel, Metadata, Modality, Problem

LEDGER, LOCK = "ledger.sqlite", "lock"
CLAIMS: dict[str, tuple[Channel, ...]] = {
    "audio": ("sound", "speech"),
    "image": ("visual",),
    "text": ("text",),
    "video": ("visual", "sound", "speech"),
}
EMPTY = "there is no file in this folder"
NOWHERE = "there is no such file or folder; check the spelling"
URL = "it is a URL, and nothing is fetched; save it and add the file"


@dataclass(frozen=True, slots=True)
class File:
    """A file that was found, and what the library calls it."""

    key: str
    root: str
    below: Path | str
    """Path below the root; of a passage that is no file, its id."""
    path: Path
    named: bool
    """Given by the user himself, not found in a folder."""
    text: str | None = None
    """Of a passage that is no file."""
    given: Metadata | None = None
    """What is said about it, where that is known already."""

    @classmethod
    def of(cls, known: Known, roots: Mapping[str, Path]) -> File:
        """A file that the library knows."""
        below = os.fsdecode(known.path)
        return cls(known.key, known.root, below, roots[known.root] / below, named=True, given=known.given)

    @property
    def name(self) -> str:
        """What people call it: its path, or the passage's id."""
        return str(self.path) if self.text is None else str(self.below)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What its name says that there is in it."""
        return CLAIMS.get(self._kind, ())

    @property
    def folder(self) -> Path | None:
        """The added folder, out of which no link may lead; None of a passage."""
        return None if self.text is not None else self.path.parents[len(Path(self.below).parts) - 1]

    def job(self, unless: Sequence[str] = ()) -> Job:
        """What the pool is to do for it, unless its content is one of some."""
        return Job(self.key, self.path, unless, self.text, [str(self.folder)] if self.folder else None)

    @property
    def claims(self) -> Modality:
        """What its name says that it is; a text if that is nothing that is read."""
        return self._kind if self._kind in CLAIMS else "text"  # type: ignore[return-value]

    @property
    def claims_to_be_media(self) -> bool:
        """Whether its name says that it is a picture or a recording."""
        return self._kind in CLAIMS and self._kind != "text"

    @property
    def _kind(self) -> str:
        if self.text is not None:
            return "text"
        return (mimetypes.guess_type(self.path.name)[0] or "").partition("/")[0]


class Folders:
    """Names files: by the innermost added folder that holds them, so that no file gets two names."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._roots = ledger.roots()
        self._kept = set(self._roots)

    def discover(self, paths: Iterable[str | os.PathLike[str]]) -> Iterator[File | Problem]:
        """Walk what was given, by name. Hidden files, other libraries and links that lead out are left alone."""
        tops: set[Path] = set()
        for given in paths:
            try:
                path = Path(os.path.realpath(given))
                if "://" in os.fspath(given):
                    yield Problem(os.fspath(given), URL)
                elif not os.fspath(given) or not os.path.lexists(path):
                    yield Problem(os.fspath(given), NOWHERE)
                elif not path.is_dir() and away(path, given):
                    yield Problem(os.fspath(given), LEADS_OUT)
                elif not tops.isdisjoint((path, *path.parents)):
                    continue  # it came along already
                elif path.is_dir():
                    yield from self._walk(path, os.fspath(given), tops)
                else:
                    yield self._file(path.parent, path, named=True)
                tops.add(path)
            except (OSError, ValueError) as error:
                yield Problem(os.fspath(given), f"it cannot be looked at: {error}")

    def _walk(self, top: Path, given: str, earlier: set[Path]) -> Iterator[File | Problem]:
        unreadable: list[OSError] = []
        empty = True
        for folder, names, files in os.walk(top, onerror=unreadable.append):
            if LEDGER in files and LOCK in files:
                names.clear()
                if folder == str(top):
                    yield Problem(given, "this is a library, not a folder of pictures")
                    return
                continue
            for name in names:
                if _leads_out(Path(folder, name), top):
                    yield Problem(str(Path(folder, name)), LEADS_OUT)
            names[:] = sorted(n for n in names if not n.startswith(".") and Path(folder, n) not in earlier)
            for name in sorted(files):
                path = Path(folder, name)
                if name.startswith(".") or path in earlier:
                    continue
                empty = False
                if is_sidecar(path):
                    continue  # it comes along with its recording
                if _leads_out(path, top):
                    yield Problem(str(path), LEADS_OUT)
                else:
                    yield self._file(top, path, named=False)
        for error in unreadable:
            yield Problem(str(error.filename), f"this folder cannot be read: {error.strerror}")
        if empty and not unreadable:
            yield Problem(given, EMPTY)

    def _file(self, folder: Path, path: Path, *, named: bool) -> File:
        holding = [name for name, root in self._roots.items() if path.is_relative_to(root)]
        root = max(holding, key=lambda name: len(self._roots[name].parts)) if holding else self._adopt(folder)
        below = path.relative_to(self._roots[root])
        return File(f"{root}/{_text(below.as_posix())}", root, below, path, named)

    def _adopt(self, folder: Path) -> str:
        plain = _text(folder.name) or "root"
        name, number = plain, 1
        while name in self._roots:
            number += 1
            name = f"{plain}-{number}"
        self._roots[name] = folder
        return name

    def keep(self, root: str) -> None:
        """Let the ledger remember a folder, now that a file of it is taken in."""
        if root not in self._kept:
            self._ledger.add_root(root, self._roots[root])
            self._kept.add(root)

    def select(self, asked: Sequence[str]) -> tuple[list[str], list[str]]:
        """Keys of what keys, paths, folders or ids of passages stand for, and what stands for none."""
        keys, unknown = [], []
        held, passages = self._ledger.paths(), self._ledger.passages()
        for one in asked:
            # An empty name would be the current folder; a script with an unset variable does not mean that.
            path = real(one) if one else None
            found = [key for key, where in held.items() if key == one or path == where or path in where.parents]
            found += [key for name, key in passages.items() if one in (name, key)]
            keys += found
            unknown += [] if found else [one]
        return list(dict.fromkeys(keys)), unknown


def followed(roots: Mapping[str, Path], before: Path, now: Path) -> dict[str, Path]:
    """Folders that are not where they were, and are where they should be if they were moved together with the library.

    `before` and `now` are the library's own folder.
    """
    found = {}
    for name, root in roots.items():
        beside = Path(os.path.normpath(now / os.path.relpath(root, before)))
        if not root.exists() and beside.is_dir() and beside not in roots.values():
            found[name] = beside
    return found


def relocated(ledger: Ledger, old: str, new: str) -> dict[str, Path]:
    """Where folders of the library are now, if one was moved. Raises InputError if they are not."""
    source, target = real(old), real(new)
    roots = {name: root for name, root in ledger.roots().items() if source in (root, *root.parents)}
    if not old or not roots:
        known = ", ".join(map(str, ledger.roots().values())) or "none"
        raise InputError(f"{old!r} is no folder that was added to this library. Its folders are {known}.")
    if source is None or target is None:
        raise InputError(f"{new!r:.200} is no path.")
    moved = {name: target / root.relative_to(source) for name, root in roots.items()}
    files = [key for key, path in ledger.paths().items() if any(root in path.parents for root in roots.values())]
    held = ledger.paths()
    if not any(os.path.exists(target / held[key].relative_to(source)) for key in files):  # noqa: PTH110 - never raises
        raise InputError(f"None of the {len(files):,} files that the library has of {source} is in {target}.")
    if both := set(moved.values()).intersection(p for name, p in ledger.roots().items() if name not in moved):
        raise InputError(
            f"{min(both)} is a folder of this library already. Add it, and remove {source} from the library."
        )
    return moved


def _leads_out(path: Path, top: Path) -> bool:
    # Not Path.is_symlink, which raises where it may not look.
    return os.path.islink(path) and ((place := real(path)) is None or not place.is_relative_to(top))  # noqa: PTH114


def _text(name: str) -> str:
    """File names are bytes; a key is text, so that it can be shown and stored. No two names give the same."""
    return os.fsencode(name).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")


def listed(given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[str]:
    """Paths as strings, from one or many. Raises InputError."""
    many = [given] if isinstance(given, (str, os.PathLike)) else list(given) if isinstance(given, Iterable) else [None]
    if not all(isinstance(one, (str, os.PathLike)) for one in many):
        raise InputError(f"Files and folders are given by their paths, not by {given!r}.")
    return [os.fspath(one) for one in many if one is not None]
