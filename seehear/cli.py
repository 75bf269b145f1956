"""The command `seehear`. Errors are one sentence with the cure; what a program reads goes to standard output."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from seehear.errors import InputError, SeehearError
from seehear.terminal import complain, console, print_lines, progress, show_failed, show_report

DEFAULT_LIBRARY = "media.library"
SIGNS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
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
        return complain(error, WRONG)
    except SeehearError as error:
        return complain(error, FAILED)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever presses it again gets no traceback from our exit
        return complain("Stopped. What was taken in stays; run the command again to go on.", STOPPED)
    except BrokenPipeError:
        # Whoever read our output has enough; Python must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seehear",
        description="Index pictures, sounds, speech and texts; ask in words, with a picture, a sound, or aloud.",
    )
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
    add.add_argument("--language", metavar="LL", help="what is spoken in these files, such as en (default: found out)")
    add.add_argument("--transcriber", metavar="NAME", help="whisper:MODEL or faster-whisper:MODEL, from now on")
    add.set_defaults(run=_add)

    search = commands.add_parser("search", parents=[shared], help="ask in words, with a picture, a sound, or aloud")
    search.add_argument("words", nargs="*", metavar="WORDS")
    search.add_argument("--image", metavar="FILE", help="a picture to ask with")
    search.add_argument("--audio", metavar="FILE", help="a sound to ask with")
    search.add_argument("--voice", metavar="FILE", help="a spoken question")
    for name, which in (("channel", "text, visual, sound, speech"), ("modality", "text, image, audio, video")):
        search.add_argument(f"--{name}", action="append", metavar="NAME", help=f"only these: {which}")
    search.add_argument("-k", type=int, default=5, help="how many answers (default: 5)")
    search.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FILTER",
        help="only files whose metadata is so: NAME=VALUE, 'NAME>=5' in quotes (also != > < <=), or a filter as JSON",
    )
    search.add_argument("--after", metavar="TIME", help='only what was taken from then on: 2024-05-03, or "10 PM"')
    search.add_argument("--before", metavar="TIME", help="only what was taken until just before then")
    search.add_argument(
        "--min-score", type=float, metavar="X", help="only answers that score this, 0 to 1; 0 for everything"
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

    check = commands.add_parser("check", parents=[printing], help="see whether a model set works here as it should")
    check.add_argument("--models", default="mini", help="model set, or dual:CHECKPOINT (default: mini)")
    check.add_argument("--reference", metavar="SET|FILE.npz", help="compare with that of another set, or with a file")
    check.add_argument("--write", type=Path, metavar="FILE.npz", help="write down vectors, to compare elsewhere")
    check.set_defaults(run=_check)
    return parser


def _add(given: argparse.Namespace) -> int:
    from seehear.library import Library

    options = {"models": given.models, "transcriber": given.transcriber}
    with Library.open(given.library, **options) as library, progress("Adding", given.json) as bar:
        told = _named(given.meta) if given.meta else None
        report = library.add(given.paths, metadata=told, language=given.language, progress=bar)
    if given.json:
        print(json.dumps(asdict(report), indent=2))  # noqa: T201
    else:
        show_report(report, given.library)
    return FAILED if report.failed or report.partial else 0


def _search(given: argparse.Namespace) -> int:
    from seehear.library import Library
    from seehear.types import Query

    query = Query(
        " ".join(given.words) or None,
        given.image,
        given.audio,
        given.voice,
        channels=frozenset(given.channel) if given.channel else None,
        modalities=frozenset(given.modality) if given.modality else None,
        where={"$and": [_filter(one) for one in given.where]} if given.where else None,
        after=given.after,
        before=given.before,
        min_score=given.min_score,
    )
    with Library.open(given.library, create=False) as library:
        hits = library.retrieve(query, k=given.k)
    if hits.heard is not None:
        print_lines([f"heard: {hits.heard}"], error=True)
    if given.json:
        print(hits.to_json())  # noqa: T201
    elif hits:
        console().print(hits)
    else:
        hint = "" if given.min_score is not None else " --min-score 0 shows what comes nearest."
        console().print(f"Nothing was found.{hint}")
    return 0


def _info(given: argparse.Namespace) -> int:
    from seehear.library import Library
    from seehear.passport import told

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
        "speech": f"written down by {info['transcriber']}" if info["transcriber"] else "not written down",
        **{f"model {name}": told(model) or "not loaded yet" for name, model in info["encoders"].items()},
        "files": info["files"],
        "segments": info["segments"],
        **{f"folder {name}": path for name, path in info["folders"].items()},
        **{f"problem {n}": f"{p['path']}: {p['reason']}" for n, p in enumerate(info["problems"], 1)},
    }
    print_lines([f"{name:<10} {value}" for name, value in lines.items()] + info.get("sources", []))
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
                with progress("Embedding", given.json) as bar:
                    report = library.add(list(dict.fromkeys(path for path, _ in pairs)), progress=bar)
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
        console().print(table)
        console().print("95 % intervals in brackets: bootstrap over pictures.", style="dim")
    if report and report.failed:
        show_failed(report)
    return FAILED if failed else 0


def _check(given: argparse.Namespace) -> int:
    from seehear.check import check, read, reference, write
    from seehear.presets import model_set
    from seehear.registry import build

    models = model_set(given.models)
    known = reference(given.reference or models.name) or (read(Path(given.reference)) if given.reference else None)
    findings = []
    for spec in dict.fromkeys(route.encoder for route in models.routes):
        encoder = build(spec)
        if not given.json:
            print_lines([f"{models.name}: {spec}"])
        for finding in check(encoder, known):
            findings.append(finding)
            if not given.json:
                print_lines([f"  {finding.state:<8}  {finding.what}"])
        if given.write and findings[-1].state == "measured":
            write(given.write, encoder)
    wrong = any(finding.state == "wrong" for finding in findings)
    compared = any(finding.compared for finding in findings)
    if given.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))  # noqa: T201
    elif wrong:
        print_lines([f"{models.name} is NOT as it should be."])
    else:
        print_lines([f"{models.name} is as it should be." if compared else f"{models.name} could not be compared."])
    return 0 if compared and not wrong else FAILED


def _named(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE as metadata; what looks like a number or a truth is one, as in JSON."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise InputError(f"{pair!r} is not NAME=VALUE.")
        found[name] = _value(value)
    return found


def _filter(written: str) -> Any:
    """One `--where`: a filter as JSON, or a name, a comparison and a value."""
    if written.startswith("{"):
        try:
            return json.loads(written)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{written!r} is no JSON: {error}.") from error
    found = re.fullmatch(r"([^=<>!]+)(!=|<=|>=|==?|<|>)([^=<>].*|)", written, re.DOTALL)
    if not found:
        raise InputError(f"{written!r} is no filter. Write NAME=VALUE, NAME>=5, or a filter as JSON.")
    name, sign, value = found[1].strip(), found[2].replace("==", "="), _value(found[3].strip())
    return {name: {SIGNS[sign]: value}}


def _value(written: str) -> Any:
    try:
        read = json.loads(written)
    except (ValueError, RecursionError):
        return written
    return read if isinstance(read, (str, int, float, bool)) else written


if __name__ == "__main__":
    sys.exit(main())
