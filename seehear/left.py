"""Files that are gone since the library looked at them: one that is new may be one of them, at another place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import PurePosixPath

from seehear.records import Known


class Left:
    """By their bytes, each to be followed once."""

    def __init__(self, gone: Mapping[str, Known]) -> None:
        self._keys: dict[str, list[str]] = defaultdict(list)
        for key in sorted(gone):
            self._keys[gone[key].content].append(key)

    def follow(self, new: Mapping[str, str]) -> dict[str, str]:
        """Keys of new files, and what each was: `new` is their bytes by key. Of copies, one of the same name is it."""
        found: dict[str, str] = {}
        for named in (True, False):
            for key in sorted(new.keys() - found.keys()):
                same = self._keys.get(new[key], []) if new[key] else []
                name = PurePosixPath(key).name
                was = next((one for one in same if not named or PurePosixPath(one).name == name), None)
                if was is not None:
                    same.remove(was)
                    found[key] = was
        return found

    def rest(self) -> list[str]:
        """Keys of those that nobody followed."""
        return sorted(key for keys in self._keys.values() for key in keys)
