"""The commands that keep a library true: `sync`, `verify`, `migrate`, `relocate`, `remove`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from seehear.errors import LibraryError
from seehear.media import Limits
from seehear.terminal import FAILED, finished, print_lines, progress, show_report

if TYPE_CHECKING:
    from seehear.library import Library


def parsers(
    commands: Any, changing: Sequence[argparse.ArgumentParser], reading: Sequence[argparse.ArgumentParser]
) -> None:
    """Add the commands to those of `seehear`.

    `changing` have the options of all that changes a library, `reading` of what reads files for it.
    """
    sync = commands.add_parser(
        "sync",
        parents=list(reading),
        help="make the library equal to folders",
        description="Take in what is new in some folders or has changed, follow what was moved without looking at it "
        "again, and forget what is gone. The files themselves stay as they are.",
    )
    sync.add_argument("folders", nargs="+", metavar="FOLDER")
    sync.add_argument("--dry-run", action="store_true", help="only say what would be done")
    sync.add_argument("--retry", action="store_true", help="try again what failed, though it has not changed")
    sync.add_argument("--language", metavar="LL", help="what is spoken in these files, such as en (default: found out)")
    sync.set_defaults(run=_sync)

    verify = commands.add_parser(
        "verify",
        parents=list(reading),
        help="compare what the library says with what is stored and on disk",
        description="Compare what the library says it holds with the vectors that are stored and with the files on "
        "disk. The exit status is 1 where something is wrong with the library.",
    )
    verify.add_argument(
        "--repair", action="store_true", help="make again what is missing or damaged, delete what nothing refers to"
    )
    verify.set_defaults(run=_verify)

    migrate = commands.add_parser(
        "migrate",
        parents=list(reading),
        help="give the library other models",
        description="Embed what other models need; the old ones answer until all is done. May be stopped, and goes on "
        "when it is run again.",
    )
    migrate.add_argument("--models", required=True, metavar="SET", help="the new model set")
    migrate.add_argument("--transcriber", metavar="NAME", help="whisper:MODEL or faster-whisper:MODEL, from now on")
    migrate.add_argument("--drop-missing", action="store_true", help="go on without files that cannot be read any more")
    migrate.set_defaults(run=_migrate)

    relocate = commands.add_parser(
        "relocate",
        parents=list(changing),
        help="say that a folder of files was moved",
        description="Look for the files of a folder in another place from now on; none is read again. A folder that "
        "was moved together with the library is found without this.",
    )
    relocate.add_argument("old", metavar="OLD")
    relocate.add_argument("new", metavar="NEW")
    relocate.set_defaults(run=_relocate)

    remove = commands.add_parser("remove", parents=list(changing), help="forget files (the files themselves stay)")
    remove.add_argument("sources", nargs="+", metavar="SOURCE", help="a path, a folder, or a name that info lists")
    remove.set_defaults(run=_remove)


def _open(given: argparse.Namespace, *, repair: bool = False) -> Library:
    """The library that is there, with the limits of the command."""
    from seehear.library import Library

    return Library.open(given.library, create=False, repair=repair, limits=Limits(**dict(given.limit)))


def _sync(given: argparse.Namespace) -> int:
    with _open(given) as library, progress("Syncing", given.json) as bar:
        report = library.sync(
            given.folders, dry_run=given.dry_run, language=given.language, retry=given.retry, progress=bar
        )
    if given.json:
        print(json.dumps(asdict(report), indent=2))  # noqa: T201
        return FAILED if report.failed or report.partial else 0
    if given.dry_run:
        lines = [f"would {what} {one}" for what, many in (
            ("add", report.added), ("take in again", report.changed),
            ("follow", [f"{was} to {now}" for was, now in report.moved]), ("forget", report.removed),
        ) for one in many]  # fmt: skip
        print_lines(lines or ["nothing is to be done"])
    show_report(report, given.library)
    return FAILED if report.failed or report.partial else 0


def _verify(given: argparse.Namespace) -> int:
    with _open(given, repair=given.repair) as library, progress("Verifying", given.json) as bar:
        found = library.verify(repair=given.repair, progress=bar)
    finished("verified", asdict(found))
    if given.json:
        print(json.dumps({"good": found.good, **asdict(found)}, indent=2))  # noqa: T201
        return 0 if found.good else FAILED
    lines = [f"{found.files:,} files, {found.vectors:,} vectors in {found.seconds:.1f} s"]
    lines += [f"the ledger is damaged: {found.ledger}"] if found.ledger else []
    lines += [f"{count:,} vectors are missing: {name}" for name, count in found.missing.items()]
    lines += [f"{found.orphans:,} rows that nothing refers to"] if found.orphans else []
    lines += [f"{len(found.unread):,} files are still to be read again"] if found.unread else []
    lines += [f"gone: {path}" for path in found.gone] + [f"changed: {path}" for path in found.changed]
    lines += [f"failed: {problem.path}: {problem.reason}" for problem in found.failed]
    if found.repaired:
        lines.append(f"put right; {found.embedded:,} contents were embedded again")
        lines += [f"could not be put right: {problem.path}: {problem.reason}" for problem in found.remains]
    elif not found.good:
        lines.append(f"To put it right: seehear verify --repair --library {given.library}")
    else:
        lines.append("the library is what it says it is")
    if found.gone or found.changed:
        lines.append("What became of files on disk: seehear sync FOLDER follows it, or relocate where a folder moved.")
    print_lines(lines)
    return 0 if found.good else FAILED


def _migrate(given: argparse.Namespace) -> int:
    with _open(given) as library, progress("Migrating", given.json) as bar:
        era = library.retriever().era
        report = library.migrate(
            given.models, transcriber=given.transcriber, drop_missing=given.drop_missing, progress=bar
        )
        now, switched = library.models.name, library.retriever().era != era
    if given.json:
        print(json.dumps({"models": now, **asdict(report)}, indent=2))  # noqa: T201
    else:
        show_report(report, given.library)
    if not switched:
        raise LibraryError(
            f"The library answers with {now!r} as before: of what failed it would lose what it has. Put that right and "
            "run this again, or go on without it: --drop-missing"
        )
    return 0


def _relocate(given: argparse.Namespace) -> int:
    from seehear.library import Library

    with Library.open(given.library, create=False) as library:
        names = library.relocate(given.old, given.new)
        folders = library.info()["folders"]
    if given.json:
        print(json.dumps({"relocated": {name: folders[name] for name in names}}, indent=2))  # noqa: T201
    else:
        print_lines([f"{name} is in {folders[name]}" for name in names])
    return 0


def _remove(given: argparse.Namespace) -> int:
    from seehear.library import Library

    with Library.open(given.library, create=False) as library:
        keys = library.remove(given.sources)
    if given.json:
        print(json.dumps({"removed": keys}, indent=2))  # noqa: T201
    else:
        print_lines([f"removed {key}" for key in keys])
    return 0
