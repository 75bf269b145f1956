"""The first look at each file: which have to be read, and which are what they were."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from seehear.contracts import Encoder
from seehear.decoder import Job
from seehear.draft import Draft, unchanged
from seehear.errors import InputError
from seehear.folders import File
from seehear.ledger import Ledger
from seehear.media import stamp
from seehear.metadata import checked
from seehear.pool import Pool
from seehear.records import Known
from seehear.tally import Tally
from seehear.types import Metadata, Problem, Route
from seehear.where import facts

GiveMetadata = Mapping[str, Any] | Callable[[Path], Mapping[str, Any]]


class Due:
    """Looks at files by size and time; what has not changed since it was read is done with."""

    def __init__(
        self,
        ledger: Ledger,
        pool: Pool,
        encoders: Mapping[Route, Encoder],
        metadata: GiveMetadata | None,
        tally: Tally,
        *,
        retry: bool = False,
        anew: Container[str] = (),
        gone: Mapping[str, Known] | None = None,
        dry: bool = False,
    ) -> None:
        """`retry` reads again what failed; `anew` are keys of files that are read whatever is known of them.

        `gone` are files that are no more: what is new may be one of them, at another place. `dry` changes nothing.
        """
        self.ledger, self.pool, self.encoders, self.tally = ledger, pool, encoders, tally
        # What holds for all files is checked once, and is the caller's mistake; what is told of each, file by file.
        self.metadata = metadata if metadata is None or callable(metadata) else checked(metadata)
        self.retry, self.anew, self.dry = retry, anew, dry
        self._gone: dict[int, set[str]] = defaultdict(set)
        for known in (gone or {}).values():
            self._gone[known.size].add(known.content)

    def drafts(self, found: Iterable[File | Problem]) -> Iterator[tuple[Draft, Job]]:
        """Those that have to be read, and what the pool is to do for it."""
        for file in found:
            if isinstance(file, Problem):
                self.tally.fail(file)
                continue
            seen_ns = time.time_ns()  # before it is looked at: a later change must not seem an earlier one
            try:
                told = self._told(file)
                size, mtime_ns = stamp(file.path) if file.text is None else (0, 0)
            except InputError as error:
                self.tally.fail(Problem(file.name, str(error)))
                continue
            except OSError as error:
                self.tally.fail(Problem(file.name, f"it cannot be looked at: {error.strerror}"))
                continue
            except Exception as error:  # the user's own function
                self.tally.fail(Problem(file.name, f"its metadata could not be had: {error!r}"))
                continue
            known = self.ledger.known(file.key)
            given = told if told is not None else known.given if known else {}
            if known and self._settled(file, known, given, size, mtime_ns):
                continue
            for route, encoder in self.encoders.items():
                if route.channel in file.channels:
                    _ = encoder.dim  # a checkpoint that is still to be fetched is fetched now, not while a batch waits
            draft = Draft(file, given, seen_ns, size, mtime_ns, new=known is None)
            yield draft, file.job(self._unless(known, size))

    def still_there(self, file: File, known: Known, given: Metadata) -> None:
        """A file has not changed; what the user says about it may have."""
        self.tally.done("changed" if self._described(known, given) else "unchanged", file.name)

    def _settled(self, file: File, known: Known, given: Metadata, size: int, mtime_ns: int) -> bool:
        """Whether nothing is to be done for a file that is known."""
        if file.text is not None or file.key in self.anew or not unchanged(known, size, mtime_ns):
            return False
        reasons = self._reasons(file.key)
        if known.settings != self.pool.settings.get(known.modality) and not (reasons and not known.settings):
            return False
        if not reasons:
            self.still_there(file, known, given)
            return True
        if self.retry:
            return False
        self._described(known, given)
        return self.failed_before(file.key, file.name)

    def as_before(self, known: Known, content: str) -> bool:
        """Whether what became of a file would become of it again, as far as that can be told."""
        current = known.settings == self.pool.settings.get(known.modality)
        return current and content == known.content and not self.retry

    def failed_before(self, key: str, name: str) -> bool:
        """Tell of a file again that it failed, or in part, if it did; it may be called otherwise by now."""
        reasons = self._reasons(key)
        if reasons:
            good = any(outcome.status != "failed" for outcome in self.ledger.outcomes(key))
            self.tally.fail(Problem(name, "; ".join(reasons)), "partial" if good else "failed")
        return bool(reasons)

    def _described(self, known: Known, given: Metadata) -> bool:
        if sorted(facts(known.given)) == sorted(facts(given)):  # as mappings, true and 1 would be equal
            return False
        if not self.dry:
            self.ledger.describe(known, given)
        return True

    def _reasons(self, key: str) -> list[str]:
        """Why routes of a file failed."""
        return list(dict.fromkeys(one.reason for one in self.ledger.outcomes(key) if one.status == "failed"))

    def _unless(self, known: Known | None, size: int) -> list[str]:
        """Contents that need not be decoded: what the file is known to be, or files that are gone may have been."""
        if known is None:
            return sorted(self._gone.get(size, ()))
        current = known.settings == self.pool.settings.get(known.modality)
        fresh = current and known.key not in self.anew and not self._reasons(known.key)
        return [known.content] if fresh else []

    def _told(self, file: File) -> Metadata | None:
        """What the user says about a file now; None if nothing."""
        if file.given is not None or file.text is not None:
            return file.given
        return checked(self.metadata(file.path)) if callable(self.metadata) else self.metadata
