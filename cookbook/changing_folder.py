"""A folder whose files come, go, move and become others, and what a library that was told to follow it may hold.

Truth is kept by content (SHA-256). What a library has acknowledged, it must hold; what has changed since may be in it
as it was or as it is, and never as anything else. Contents that have left come back, under other names too.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = 4  # of changes that need a file: one becomes another, goes, moves, is copied


@dataclass(frozen=True)
class Move:
    """A file that was acknowledged and has moved: it must be in the library at just one of its places."""

    content: str
    places: tuple[str, ...]


class ChangingFolder:
    """Files of several groups, such as pictures and recordings, of which each changes."""

    def __init__(self, folder: Path, groups: Sequence[Sequence[Path]], rng: random.Random) -> None:
        """`groups` are files whose contents are used, each once at a time, but for copies."""
        self.folder, self.rng = folder, rng
        self.sources = {digest(path): (path, number) for number, group in enumerate(groups) for path in group}
        """Where each content is copied from, and its group."""
        self.unused = [deque[str]() for _ in groups]
        self.disk: dict[str, str] = {}
        """Path -> content."""
        self.allowed: dict[str, set[str | None]] = {}
        """Path -> contents that the library may hold of it; None is nothing."""
        self.moves: list[Move] = []
        self.left: set[str] = set()
        """Contents that went in the last round, even if they came back in it under another name."""
        self.size = 0
        """Files of a group at the beginning."""
        self._held: set[str] = set()
        """Contents that the library holds, as far as is known."""
        self._count = 0
        for content, (_, number) in self.sources.items():
            self.unused[number].append(content)

    def fill(self, files: int) -> None:
        """Put files into it, of each group as many as of the others where it has them."""
        self.size = -(-files // len(self.unused))
        while len(self.disk) < files and any(self.unused):
            for unused in self.unused:
                if unused and len(self.disk) < files:
                    self._put(self._new(unused[0]), unused.popleft())

    def change(self, share: float) -> None:
        """Let a share of each group become others, go, move, be copied and come; at least one of each.

        What a group has more than at the beginning goes too, so that contents come back.
        """
        self.left = set()
        for number, unused in enumerate(self.unused):
            # The first of each stays: a folder of which no file is left is not followed.
            paths = sorted(path for path, content in self.disk.items() if self.sources[content][1] == number)[1:]
            each = max(1, round(share * len(paths)))
            surplus = max(0, len(paths) - self.size)
            drawn = self.rng.sample(paths, min(len(paths), KINDS * each + surplus))
            drawn, rest = drawn[: KINDS * each], drawn[KINDS * each :]
            for path in drawn[0::KINDS]:
                if fitting := [one for one in unused if self.sources[one][0].suffix == Path(path).suffix]:
                    unused.remove(fitting[0])
                    self._put(path, fitting[0])
            for path in drawn[1::KINDS] + rest:
                Path(path).unlink()
                self._set(path, None)
            for path in drawn[2::KINDS]:
                self._move(path)
            for path in drawn[3 :: KINDS * each]:
                self._put(self._new(self.disk[path]), self.disk[path])
            for _ in range(min(each, len(unused))):
                self._put(self._new(unused[0]), unused.popleft())

    def acknowledge(self, done: Iterable[str], moved: Iterable[Sequence[str]]) -> None:
        """The library said that it is done with some files as they are, and from where some have moved."""
        for path in [*done, *(was for was, _ in moved)]:
            self.allowed[path] = {self.disk.get(path)}
            self._held |= {self.disk[path]} if path in self.disk else set()

    def acknowledged(self) -> list[str]:
        """Files that it must hold as they are."""
        return [path for path, content in self.disk.items() if self.allowed[path] == {content}]

    def pending(self) -> int:
        """How many paths it is still to look at."""
        return sum(held != {self.disk.get(path)} for path, held in self.allowed.items())

    def fresh(self) -> int:
        """How many contents it does not have yet."""
        return len(set(self.disk.values()) - self._held)

    def observe(self, held: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
        """Compare with what it holds: sentences about what is lost, what is there twice, and what should not be there.

        From now on it must not go back to what it was before.
        """
        lost, doubled, wrong = list[str](), list[str](), list[str]()
        for path in self.allowed.keys() | held.keys():
            may, is_ = self.allowed.get(path, {None}), held.get(path)
            if is_ not in may:
                told = f"{path} is {_short(is_)} and should be {' or '.join(sorted(map(_short, may)))}"
                (lost if is_ is None else wrong).append(told)
        for move in self.moves:
            at = [path for path in move.places if held.get(path) == move.content]
            if len(at) != 1:
                (doubled if at else lost).append(f"{_short(move.content)} moved and is at {at or 'none'}")
        self._held = set(held.values())
        self.moves = [move for move in self.moves if held.get(move.places[-1]) != move.content]
        now = {path: {held.get(path), self.disk.get(path)} for path in self.allowed}
        self.allowed = {path: may for path, may in now.items() if may != {None}}
        return lost, doubled, wrong

    def _new(self, content: str) -> str:
        source, number = self.sources[content]
        self._count += 1
        return str(self.folder / str(number) / f"{self._count:05}{source.suffix}")

    def _put(self, path: str, content: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.sources[content][0], path)
        self._set(path, content)

    def _move(self, path: str) -> None:
        content = self.disk[path]
        to = self._new(content)
        places = next((move.places for move in self.moves if move.places[-1] == path), ())
        # Of copies nobody can tell which is which.
        alone = sum(content in held for held in self.allowed.values()) == len(places or (path,))
        known = bool(places) or self.allowed[path] == {content}
        Path(path).rename(to)
        self._set(to, content)
        self._set(path, None)
        if alone and known:
            self.moves.append(Move(content, (*(places or (path,)), to)))

    def _set(self, path: str, content: str | None) -> None:
        before = self.disk.pop(path, None)
        if content:
            self.disk[path] = content
        self.allowed[path] = self.allowed.get(path, {None}) | {content}
        self.moves = [move for move in self.moves if move.places[-1] != path and move.content != content]
        if before and before not in self.disk.values():
            self.left.add(before)
            self.unused[self.sources[before][1]].append(before)


def digest(path: Path) -> str:
    """SHA-256 of a file, as the ledger has it of one that has no transcript beside it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _short(content: str | None) -> str:
    return content[:8] if content else "nothing"
