"""The command `seehear`. Errors are one sentence with the cure; what a program reads goes to standard output."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NoReturn

from seehear import measuring, serving, upkeep
from seehear.errors import InputError, SeehearError
from seehear.media import Limits
from seehear.terminal import FAILED, complain, console, logged, print_lines, progress, show_report

DEFAULT_LIBRARY = "media.library"
SIGNS = {"=": "$eq", "!=": "$ne", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
WRONG, STOPPED = 2, 130
"""Exit statuses: the command makes no sense; interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know the letters of a name
    given = _parser().parse_args(arguments)
    with logged(getattr(given, "log_json", False)):
        return _run(given)


def _run(given: argparse.Namespace) -> int:
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


class _Parser(argparse.ArgumentParser):
    """One that repeats names, which a shell may have put in the place of `*`, without what a terminal would obey."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end."""
        from seehear.wording import shown

        super().error(shown(message))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="seehear",
        description="Index pictures, sounds, speech and texts; ask in words, with a picture, a sound, or aloud.",
    )
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")
    printing = argparse.ArgumentParser(add_help=False)
    printing.add_argument("--json", action="store_true", help="print JSON")
    located = argparse.ArgumentParser(add_help=False)
    located.add_argument(
        "--library",
        type=Path,
        default=os.environ.get("SEEHEAR_LIBRARY", DEFAULT_LIBRARY),
        help=f"folder of the library (default: $SEEHEAR_LIBRARY, or {DEFAULT_LIBRARY} here)",
    )
    shared = argparse.ArgumentParser(add_help=False, parents=[printing, located])
    bounds = _bounds()
    changing = argparse.ArgumentParser(add_help=False, parents=[shared])
    changing.add_argument(
        "--log-json", action="store_true", help="a log on standard error: one JSON object a line, one for each file"
    )
    reading = argparse.ArgumentParser(add_help=False, parents=[changing])
    reading.add_argument(
        "--limit",
        action="append",
        type=_limit,
        default=[],
        metavar="NAME=N",
        help="what a file may cost: bytes, pixels, duration (s), frames, streams, seconds, memory (bytes)",
    )

    add = commands.add_parser("add", parents=[reading], help="take in files and folders")
    add.add_argument("paths", nargs="+", metavar="PATH")
    add.add_argument("--models", help="model set of a new library (default: mini)")
    add.add_argument(
        "--store", metavar="URL", help="of a new library: http://HOST:PORT of a Chroma server, for several processes"
    )
    add.add_argument("--retry", action="store_true", help="try again what failed, though it has not changed")
    add.add_argument("--meta", action="append", default=[], metavar="NAME=VALUE", help="metadata of all these files")
    add.add_argument("--language", metavar="LL", help="what is spoken in these files, such as en (default: found out)")
    add.add_argument("--transcriber", metavar="NAME", help="whisper:MODEL or faster-whisper:MODEL, from now on")
    add.add_argument("--frames", metavar="WAY", help="how frames of videos are chosen, from now on: keyframes or shots")
    add.set_defaults(run=_add)

    search = commands.add_parser(
        "search", parents=[shared, bounds], help="ask in words, with a picture, a sound, or aloud"
    )
    search.add_argument("words", nargs="*", metavar="WORDS")
    search.add_argument("--image", metavar="FILE", help="a picture to ask with")
    search.add_argument("--audio", metavar="FILE", help="a sound to ask with")
    search.add_argument("--voice", metavar="FILE", help="a spoken question")
    search.add_argument("-k", type=int, default=5, help="how many answers (default: 5)")
    search.set_defaults(run=_search)

    info = commands.add_parser("info", parents=[shared], help="say what a library holds")
    info.add_argument("--sources", action="store_true", help="list every file")
    info.set_defaults(run=_info)

    upkeep.parsers(commands, [changing], [reading])
    serving.parser(commands, [located, bounds], _fields)
    measuring.parsers(commands, printing)
    return parser


def _bounds() -> argparse.ArgumentParser:
    """The options that say among what is searched."""
    bounds = argparse.ArgumentParser(add_help=False)
    for name, which in (("channel", "text, visual, sound, speech"), ("modality", "text, image, audio, video")):
        bounds.add_argument(f"--{name}", action="append", metavar="NAME", help=f"only these: {which}")
    bounds.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="FILTER",
        help="only files whose metadata is so: NAME=VALUE, 'NAME>=5' in quotes (also != > < <=), or a filter as JSON",
    )
    bounds.add_argument("--after", metavar="TIME", help='only what was taken from then on: 2024-05-03, or "10 PM"')
    bounds.add_argument("--before", metavar="TIME", help="only what was taken until just before then")
    bounds.add_argument("--per-source", type=int, metavar="N", help="at most so many answers from one file")
    bounds.add_argument(
        "--min-score", type=float, metavar="X", help="only answers that score this, 0 to 1; 0 for everything"
    )
    return bounds


def _fields(given: argparse.Namespace) -> dict[str, Any]:
    """The same as fields of Query."""
    return {
        "channels": frozenset(given.channel) if given.channel else None,
        "modalities": frozenset(given.modality) if given.modality else None,
        "where": {"$and": [_filter(one) for one in given.where]} if given.where else None,
        "after": given.after,
        "before": given.before,
        "per_source": given.per_source,
        "min_score": given.min_score,
    }


def _limit(written: str) -> tuple[str, float]:
    """One `--limit`."""
    name, _, number = written.partition("=")
    kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(Limits) if field.default is not None}
    try:
        value: float = kinds[name](number.replace("_", ""))
    except (KeyError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{written!r} is not NAME=N with one of {', '.join(kinds)}") from error
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{written!r} is no limit")
    return name, value


def _add(given: argparse.Namespace) -> int:
    from seehear.library import Library

    options = {"models": given.models, "store": given.store, "transcriber": given.transcriber, "frames": given.frames}
    limits = Limits(**dict(given.limit))
    with Library.open(given.library, limits=limits, **options) as library, progress("Adding", given.json) as bar:
        told = _named(given.meta) if given.meta else None
        report = library.add(given.paths, metadata=told, language=given.language, retry=given.retry, progress=bar)
    if given.json:
        print(json.dumps(asdict(report), indent=2))  # noqa: T201
    else:
        show_report(report, given.library)
    return FAILED if report.failed or report.partial else 0


def _search(given: argparse.Namespace) -> int:
    from seehear.library import Library
    from seehear.types import Query

    query = Query(" ".join(given.words) or None, given.image, given.audio, given.voice, **_fields(given))
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
        "vectors": info["store"],
        **({"migration": f"begun, to {info['migration']}; seehear migrate goes on"} if info["migration"] else {}),
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
