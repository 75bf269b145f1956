"""The command `seehear`. Errors are one sentence with the cure; what a program reads goes to standard output."""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seehear.errors import InputError, SeehearError

if TYPE_CHECKING:
    from seehear.ingest import Progress
    from seehear.types import Report

DEFAULT_LIBRARY = "media.library"
FAILED, WRONG, STOPPED = 1, 2, 130
"""Exit statuses: something could not be done; the command makes no sense; interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know the letters of a name
    given = _parser().parse_args(arguments)
    try:
        status: int = given.run(given)
        return status
    except InputError as error:
        return _complain(error, WRONG)
    except SeehearError as error:
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it again gets no traceback from our exit
        return _complain("Stopped. What was taken in stays; run the command again to go on.", STOPPED)
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seehear", description="Index pictures; ask in words or with a picture.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    printing = argparse.ArgumentParser(add_help=False)
    printing.add_argument("--json", action="store_true", help="print JSON")
    shared = argparse.ArgumentParser(add_help=False, parents=[printing])
    shared.add_argument(
        "--library",
        type=Path,
        default=os.environ.get("SEEHEAR_LIBRARY", DEFAULT_LIBRARY),
        help=f"folder of the library (default: $SEEHEAR_LIBRARY, or {DEFAULT_LIBRARY} here)",
    )

    add = commands.add_parser("add", parents=[shared], help="take in files and folders")
    add.add_argument("paths", nargs="+", metavar="PATH")
    add.add_argument("--models", help="model set of a new library (default: mini)")
    add.add_argument("--meta", action="append", default=[], metavar="NAME=VALUE", help="metadata of all these files")
    add.set_defaults(run=_add)

    search = commands.add_parser("search", parents=[shared], help="ask in words, with a picture, or both")
    search.add_argument("words", nargs="*", metavar="WORDS")
    search.add_argument("--image", metavar="FILE", help="a picture to ask with")
    search.add_argument("-k", type=int, default=5, help="how many answers (default: 5)")
    search.add_argument(
        "--where", action="append", default=[], metavar="NAME=VALUE", help="only files with this metadata"
    )
    search.add_argument(
        "--min-score", type=float, default=0.0, metavar="X", help="only answers that score this, 0 to 1"
    )
    search.set_defaults(run=_search)

    info = commands.add_parser("info", parents=[shared], help="say what a library holds")
    info.add_argument("--sources", action="store_true", help="list every file")
    info.set_defaults(run=_info)

    remove = commands.add_parser("remove", parents=[shared], help="forget files (the files themselves stay)")
    remove.add_argument("sources", nargs="+", metavar="SOURCE", help="a path, a folder, or a name that info lists")
    remove.set_defaults(run=_remove)

    measure = commands.add_parser("eval", parents=[printing], help="measure recall on pictures with captions")
    measure.add_argument("pairs", type=Path, metavar="PAIRS.csv", help="columns image and caption")
    measure.add_argument("--images", type=Path, metavar="DIR", help="where the pictures are (default: beside the CSV)")
    measure.add_argument("--library", type=Path, help="measure the pictures as this library has them")
    measure.add_argument("--models", help="measure this model set, in a library that is made for it (default: mini)")
    measure.set_defaults(run=_eval)
    return parser


def _add(given: argparse.Namespace) -> int:
    from seehear.library import Library

    with Library.open(given.library, models=given.models) as library, _progress("Adding", given.json) as progress:
        report = library.add(given.paths, metadata=_named(given.meta), progress=progress)
    if given.json:
        print(json.dumps(asdict(report), indent=2))  # noqa: T201
    else:
        _show_report(report, given.library)
    return FAILED if report.failed or report.partial else 0


def _search(given: argparse.Namespace) -> int:
    from seehear.library import Library
    from seehear.types import Query

    query = Query(" ".join(given.words) or None, given.image, where=_named(given.where), min_score=given.min_score)
    with Library.open(given.library, create=False) as library:
        hits = library.retrieve(query, k=given.k)
    if given.json:
        print(hits.to_json())  # noqa: T201
    elif hits:
        _console().print(hits)
    else:
        _console().print("Nothing was found.")
    return 0


def _info(given: argparse.Namespace) -> int:
    from seehear.library import Library

    with Library.open(given.library, create=False) as library:
        info = library.info()
    if not given.sources:
        del info["sources"]
    if given.json:
        print(json.dumps(info, indent=2))  # noqa: T201
        return 0
    lines = {
        "library": info["library"],
        "models": info["models"],
        "routes": "; ".join(
            f"{r['channel']} by {r['encoder']}, asked with {' or '.join(r['asked_by'])}" for r in info["routes"]
        ),
        "files": info["files"],
        "segments": info["segments"],
        **{f"folder {name}": path for name, path in info["folders"].items()},
        **{f"problem {n}": f"{p['path']}: {p['reason']}" for n, p in enumerate(info["problems"], 1)},
    }
    _print_lines([f"{name:<10} {value}" for name, value in lines.items()] + info.get("sources", []))
    return 0


def _remove(given: argparse.Namespace) -> int:
    from seehear.library import Library

    with Library.open(given.library, create=False) as library:
        keys = library.remove(given.sources)
    if given.json:
        print(json.dumps({"removed": keys}, indent=2))  # noqa: T201
    else:
        _print_lines([f"removed {key}" for key in keys])
    return 0


def _eval(given: argparse.Namespace) -> int:
    from rich.table import Table

    from seehear.evaluate import CUTS, read_pairs
    from seehear.library import Library

    pairs = read_pairs(given.pairs, given.images)
    with tempfile.TemporaryDirectory() as folder:
        where = given.library or Path(folder) / "library"
        store, create = ("chroma", False) if given.library else ("memory", True)
        with Library.open(where, models=given.models, store=store, create=create) as library:
            report = None
            if not given.library:
                with _progress("Embedding", given.json) as progress:
                    report = library.add(list(dict.fromkeys(path for path, _ in pairs)), progress=progress)
            failed = {problem.path for problem in report.failed} if report else set()
            kept = [pair for pair in pairs if os.path.realpath(pair[0]) not in failed and str(pair[0]) not in failed]
            if not kept:
                raise InputError(f"None of the pictures of {given.pairs} could be read.")
            directions = library.evaluate(kept)
    if given.json:
        print(json.dumps([asdict(direction) for direction in directions], indent=2))  # noqa: T201
    else:
        table = Table("", "queries", "among", *(f"recall@{k} %" for k in CUTS), "median rank", box=None)
        for d in directions:
            recalls = [
                f"{100 * d.recall[k]:.1f} ({100 * d.interval[k][0]:.1f}-{100 * d.interval[k][1]:.1f})" for k in CUTS
            ]
            table.add_row(d.name, str(d.queries), str(d.candidates), *recalls, f"{d.median_rank:g}")
        _console().print(table)
        _console().print("95 % intervals in brackets: bootstrap over pictures.", style="dim")
    if report and report.failed:
        _show_failed(report)
    return FAILED if failed else 0


def _named(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as metadata; what looks like a number or a truth is one, as in JSON."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise InputError(f"{pair!r} is not NAME=VALUE.")
        try:
            read = json.loads(value)
        except ValueError:
            read = value
        found[name] = read if isinstance(read, (str, int, float, bool)) else value
    return found


@contextmanager
def _progress(label: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar with counts and the time left, on standard error, if somebody is looking."""
    if quiet or not sys.stderr or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console(error=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total, _: bar.update(task, completed=done, total=total)


def _show_report(report: Report, library: Path) -> None:
    parts = [f"{len(report.added)} added", f"{len(report.unchanged)} unchanged"]
    parts += [f"{len(report.partial)} partial"] if report.partial else []
    parts += [f"{len(report.failed)} failed"] if report.failed else []
    parts += [f"{len(report.ignored)} other files left out"] if report.ignored else []
    _print_lines([f"{', '.join(parts)} in {report.seconds:.1f} s; library: {library}"])
    _show_failed(report)


def _show_failed(report: Report) -> None:
    _print_lines([f"{problem.path}: {problem.reason}" for problem in report.partial + report.failed], error=True)


def _print_lines(lines: Sequence[Any], *, error: bool = False) -> None:
    from seehear.hits import shown

    for line in lines:
        print(shown(str(line)), file=sys.stderr if error else sys.stdout)


def _complain(message: object, status: int) -> int:
    _print_lines([f"seehear: {message}"], error=True)
    return status


def _console(*, error: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=False)


if __name__ == "__main__":
    sys.exit(main())
