"""What has become of a folder since the library looked at it: which of its files are gone, and what a sync would do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from seehear.due import Due
from seehear.errors import InputError, MediaError, UnsupportedMedia
from seehear.folders import EMPTY, File, Folders
from seehear.handle import real
from seehear.ledger import Ledger
from seehear.left import Left
from seehear.media import Limits, open_source, stamp
from seehear.records import Known
from seehear.types import Problem, Report


def gone(ledger: Ledger, given: Sequence[str]) -> dict[str, Known]:
    """Files of the library that were below some folders and are no more, by key.

    What cannot be looked at may still be there. Raises InputError for what is no folder, and where all files are gone:
    that is what a disk looks like that is not mounted.
    """
    tops = list[Path]()
    for one in given:
        top = real(one) if one else None
        if top is None or not os.path.isdir(top):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            raise InputError(
                f"{one!r} is no folder that is there. If it was moved: seehear relocate OLD NEW; to forget its files: "
                "seehear remove FOLDER"
            )
        tops.append(top)
    held = {key: path for key, path in ledger.paths().items() if not set(tops).isdisjoint(path.parents)}
    present, unseen, new = set[str](), set[Path](), list[File]()
    for found in Folders(ledger).discover(given):
        if isinstance(found, File):
            present.add(found.key)
            new += [] if found.key in held else [found]
        elif found.reason != EMPTY:
            unseen.add(Path(found.path))
    left = {key for key, path in held.items() if key not in present and unseen.isdisjoint((path, *path.parents))}
    for one, top in zip(given, tops, strict=True):
        here = [key for key, path in held.items() if top in path.parents]
        if here and left.issuperset(here) and not _elsewhere([k for key in here if (k := ledger.known(key))], new, top):
            raise InputError(
                f"None of the {len(here):,} files that the library has of {one} is there. Is the disk mounted? To "
                "forget them: seehear remove FOLDER"
            )
    return {key: known for key in sorted(left) if (known := ledger.known(key))}


def _elsewhere(known: Sequence[Known], new: Sequence[File], top: Path) -> bool:
    """Whether files that are gone from a folder have other names in it, at least one, or are all in another one."""
    sizes, contents, found = {one.size for one in known}, {one.content for one in known}, set[str]()
    for file in new:
        with suppress(OSError, MediaError):
            if stamp(file.path)[0] in sizes:
                with open_source(file.path, file.key, Limits(), within=file.job().within) as source:
                    found |= contents & {source.content}
                if source.content in contents and top in file.path.parents:
                    return True
    return found == contents


def preview(due: Due, found: Iterable[File | Problem], gone: Mapping[str, Known], limits: Limits) -> Report:
    """What taking in some files would do, as far as a look at their bytes tells: which can be decoded it does not."""
    tally, places, left = due.tally, due.ledger.paths(), Left(gone)
    new: dict[str, File] = {}
    contents: dict[str, str] = {}
    for draft, job in due.drafts(found):
        file = draft.file
        try:
            with open_source(file.path, file.key, limits, within=job.within) as source:
                content = source.content
        except MediaError as error:
            if isinstance(error, UnsupportedMedia) and not file.named and not file.claims_to_be_media:
                tally.done("ignored", file.name)
            else:
                tally.fail(Problem(file.name, str(error)))
            continue
        known = due.ledger.known(file.key)
        if known is None:
            new[file.key], contents[file.key] = file, content
        elif content in job.unless:
            due.still_there(file, known, draft.given)
        elif not due.as_before(known, content) or not due.failed_before(file.key, file.name):
            tally.done("changed", file.name)
    moved = left.follow(contents)
    for key, file in new.items():
        if key not in moved:
            tally.done("added", file.name)
        elif not due.failed_before(moved[key], file.name):
            tally.done("moved", file.name, str(places[moved[key]]))
    for key in left.rest():
        tally.done("removed", str(places[key]))
    return tally.report
