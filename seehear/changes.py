"""What has become of a folder since the library looked at it: which of its files are gone, and what a sync would do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seehear.due import Due
from seehear.errors import InputError, MediaError, UnsupportedMedia
from seehear.folders import File, Folders
from seehear.ledger import Ledger
from seehear.media import Limits, open_source
from seehear.records import Known
from seehear.types import Problem, Report


def gone(ledger: Ledger, given: Sequence[str]) -> dict[str, Known]:
    """Files of the library that were below some folders and are no more, by key.

    What cannot be looked at may still be there. Raises InputError for what is no folder, and where all files are gone:
    that is what a disk looks like that is not mounted.
    """
    tops = [Path(os.path.realpath(one)) for one in given]
    for one, top in zip(given, tops, strict=True):
        if not one or not top.is_dir():
            raise InputError(
                f"{one!r} is no folder that is there. If it was moved: seehear relocate OLD NEW; to forget its files: "
                "seehear remove FOLDER"
            )
    held = {key: path for key, path in ledger.paths().items() if not set(tops).isdisjoint(path.parents)}
    present, unseen = set[str](), set[Path]()
    for found in Folders(ledger).discover(given):
        if isinstance(found, Problem):
            unseen.add(Path(found.path))
        else:
            present.add(found.key)
    left = [key for key, path in held.items() if key not in present and unseen.isdisjoint((path, *path.parents))]
    if held and len(left) == len(held):
        raise InputError(
            f"None of the {len(held):,} files that the library has of {', '.join(given)} is there. Is the disk "
            "mounted? To forget them: seehear remove FOLDER"
        )
    return {key: known for key in left if (known := ledger.known(key))}


def preview(due: Due, found: Iterable[File | Problem], gone: Mapping[str, Known], limits: Limits) -> Report:
    """What taking in some files would do, as far as a look at their bytes tells: which can be decoded it does not."""
    tally, places = due.tally, due.ledger.paths()
    left = {known.content: key for key, known in gone.items()}
    for draft, job in due.drafts(found):
        file = draft.file
        try:
            with open_source(file.path, file.key, limits) as source:
                content = source.content
        except MediaError as error:
            if isinstance(error, UnsupportedMedia) and not file.named and not file.claims_to_be_media:
                tally.done("ignored", file.name)
            else:
                tally.fail(Problem(file.name, str(error)))
            continue
        if not draft.new:
            tally.done("unchanged" if content in job.unless else "changed", file.name)
        elif content in left:
            tally.done("moved", file.name, str(places[left.pop(content)]))
        else:
            tally.done("added", file.name)
    moved = {was for was, _ in tally.report.moved}
    for key in gone:
        if str(places[key]) not in moved:
            tally.done("removed", str(places[key]))
    return tally.report
