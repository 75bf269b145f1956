"""The commands that measure: `eval`, how well questions find their answers; `check`, whether a model set works here."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seehear.errors import InputError
from seehear.terminal import FAILED, console, print_lines, progress, show_failed

if TYPE_CHECKING:
    from seehear.grounding import Mean
    from seehear.library import Library
    from seehear.types import Report


def parsers(commands: Any, printing: argparse.ArgumentParser) -> None:
    """Add the commands to those of `seehear`."""
    measure = commands.add_parser("eval", parents=[printing], help="measure recall on your own files")
    measure.add_argument(
        "pairs", type=Path, metavar="FILE.csv", help="columns image and caption; or question, source, start and end"
    )
    measure.add_argument("--images", type=Path, metavar="DIR", help="where the pictures are (default: beside the CSV)")
    measure.add_argument("--library", type=Path, help="measure the files as this library has them")
    measure.add_argument("--models", help="measure this model set, in a library that is made for it (default: mini)")
    measure.set_defaults(run=_eval)

    check = commands.add_parser("check", parents=[printing], help="see whether a model set works here as it should")
    check.add_argument("--models", default="mini", help="model set, or dual:CHECKPOINT (default: mini)")
    check.add_argument("--reference", metavar="SET|FILE.npz", help="compare with that of another set, or with a file")
    check.add_argument("--write", type=Path, metavar="FILE.npz", help="write down vectors, to compare elsewhere")
    check.set_defaults(run=_check)


def _eval(given: argparse.Namespace) -> int:
    from seehear.grounding import asks_for_moments

    return _moments(given) if asks_for_moments(given.pairs) else _pictures(given)


@contextmanager
def _library(given: argparse.Namespace, files: Iterable[Path]) -> Iterator[tuple[Library, Report | None]]:
    """The library that is measured; where none is named, one that is made of the files, with the report of that."""
    from seehear.library import Library

    with tempfile.TemporaryDirectory() as folder:
        where = given.library or Path(folder) / "library"
        store, create = ("chroma", False) if given.library else ("memory", True)
        with Library.open(where, models=given.models, store=store, create=create) as library:
            report = None
            if not given.library:
                with progress("Embedding", given.json) as bar:
                    report = library.add(list(dict.fromkeys(files)), progress=bar)
            yield library, report


def _moments(given: argparse.Namespace) -> int:
    from rich.table import Table

    from seehear.grounding import CUTS, OVERLAPS, grounding, read_questions

    questions = read_questions(given.pairs)
    files = [moment.source for question in questions for moment in question.moments]
    with _library(given, files) as (library, report):
        if given.library and (missing := next((path for path in files if not library.holds(path)), None)):
            raise InputError(f"{missing} is not in the library; add it first.")
        found = grounding(lambda words: library.retrieve(words, k=max(CUTS), min_score=0), questions)
    if given.json:
        print(json.dumps(asdict(found), indent=2))  # noqa: T201
    else:
        table = Table(
            f"{found.questions} questions", *(f"IoU {least} %" for least in OVERLAPS), "within 5 s %", box=None
        )
        for k in CUTS:
            table.add_row(f"recall@{k}", *(_told(found.recall[k][least]) for least in OVERLAPS), _told(found.near[k]))
        console().print(table)
        console().print(f"mean IoU of the first hit: {_told(found.mean_iou)}")
        console().print("95 % intervals in brackets: bootstrap over questions.", style="dim")
    if report and (report.failed or report.partial):
        show_failed(report)
    return FAILED if report and report.failed else 0


def _told(mean: Mean) -> str:
    low, high = mean.interval
    return f"{100 * mean.value:.1f} ({100 * low:.1f}-{100 * high:.1f})"


def _pictures(given: argparse.Namespace) -> int:
    from rich.table import Table

    from seehear.evaluate import CUTS, read_pairs

    pairs = read_pairs(given.pairs, given.images)
    with _library(given, [path for path, _ in pairs]) as (library, report):
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
