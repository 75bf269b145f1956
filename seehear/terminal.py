"""What the command shows people: lines, tables, a bar. What is untrusted in them is made fit to be looked at."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

FAILED = 1
"""Exit status: something could not be done."""

if TYPE_CHECKING:
    from seehear.tally import Progress
    from seehear.types import Report


@contextmanager
def progress(label: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar with counts and the time left, on standard error, if somebody is looking."""
    if quiet or not sys.stderr or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from seehear.hits import shown

    where = TextColumn("{task.fields[where]}", style="dim", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), where)
    with Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task(label, total=None, where="")
        yield lambda done, total, name: bar.update(task, completed=done, total=total, where=shown(Path(name).name))


def show_report(report: Report, library: Path) -> None:
    """What became of the files of an `add`."""
    parts = [f"{len(report.added)} added", f"{len(report.unchanged)} unchanged"]
    parts += [f"{len(report.partial)} partial"] if report.partial else []
    parts += [f"{len(report.failed)} failed"] if report.failed else []
    parts += [f"{len(report.ignored)} other files left out"] if report.ignored else []
    print_lines([f"{', '.join(parts)} in {report.seconds:.1f} s; library: {library}"])
    print_lines([f"{note.path}: {note.reason}" for note in report.notes], error=True)
    show_failed(report)


def show_failed(report: Report) -> None:
    """The files that could not be taken in, and why."""
    print_lines([f"{problem.path}: {problem.reason}" for problem in report.partial + report.failed], error=True)


def print_lines(lines: Sequence[Any], *, error: bool = False) -> None:
    """Print lines that may hold names of files and the like."""
    from seehear.hits import shown

    for line in lines:
        print(shown(str(line)), file=sys.stderr if error else sys.stdout, flush=True)


def complain(message: object, status: int) -> int:
    """Say what is wrong, and give back the exit status."""
    print_lines([f"seehear: {message}"], error=True)
    return status


def console(*, error: bool = False) -> Any:
    """Where tables and bars are drawn."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=False)
