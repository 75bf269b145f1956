"""What the command shows people: lines, tables, a bar; and machines: a log. What is untrusted is made fit for both."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

FAILED = 1
"""Exit status: something could not be done."""

if TYPE_CHECKING:
    from seehear.tally import Progress
    from seehear.types import Report


@contextmanager
def progress(label: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar with counts and the time left, on standard error, if somebody is looking; else a line now and then."""
    if quiet or not sys.stderr or _is_log():
        yield None
        return
    if not sys.stderr.isatty():
        with _told("seehear.progress", logging.Formatter(f"{label}: %(message)s"), of="seehear.progress"):
            yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from seehear.wording import shown

    where = TextColumn("{task.fields[where]}", style="dim", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), where)
    with Progress(*columns, console=console(error=True), transient=True) as bar:
        task = bar.add_task(label, total=None, where="")
        yield lambda done, total, name: bar.update(task, completed=done, total=total, where=shown(Path(name).name))


@contextmanager
def logged(as_json: bool) -> Iterator[None]:
    """Make standard error a log: our records from INFO on, and warnings of all libraries, one JSON object a line."""
    if not as_json:
        yield
        return
    with _told("", Lines(), of="seehear"):
        logging.captureWarnings(True)
        try:
            yield
        finally:
            logging.captureWarnings(False)


def show_report(report: Report, library: Path) -> None:
    """What became of the files of an `add`."""
    parts = [f"{len(report.added)} added"]
    parts += [f"{len(found)} {name}" for name in ("changed", "moved", "removed") if (found := getattr(report, name))]
    parts += [f"{len(report.unchanged)} unchanged"]
    parts += [f"{len(report.partial)} partial"] if report.partial else []
    parts += [f"{len(report.failed)} failed"] if report.failed else []
    parts += [f"{len(report.ignored)} other files left out"] if report.ignored else []
    print_lines([f"{', '.join(parts)} in {report.seconds:.1f} s; library: {library}"])
    if not _is_log():  # there each has its record
        print_lines([f"{note.path}: {note.reason}" for note in report.notes], error=True)
        show_failed(report)


def show_failed(report: Report) -> None:
    """The files that could not be taken in, and why."""
    print_lines([f"{problem.path}: {problem.reason}" for problem in report.partial + report.failed], error=True)


def print_lines(lines: Sequence[Any], *, error: bool = False) -> None:
    """Print lines that may hold names of files and the like."""
    from seehear.wording import shown

    for line in lines:
        print(shown(str(line)), file=sys.stderr if error else sys.stdout, flush=True)


def complain(message: object, status: int) -> int:
    """Say what is wrong, and give back the exit status."""
    if _is_log():
        from seehear.wording import shown

        fields = {"event": "error", "status": status}
        logging.getLogger("seehear").error("%s", shown(str(message)), extra={"seehear": fields})
    else:
        print_lines([f"seehear: {message}"], error=True)
    return status


def finished(what: str, figures: dict[str, Any]) -> None:
    """A record of what came of a command that has no report."""
    logging.getLogger("seehear.upkeep").info("%s", what, extra={"seehear": {"event": "summary", **figures}})


def console(*, error: bool = False) -> Any:
    """Where tables and bars are drawn."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=False)


class Lines(logging.Formatter):
    """A record as one JSON object in ASCII: no name of a file can end its line, or write to whatever shows it."""

    def format(self, record: logging.LogRecord) -> str:
        """When (UTC), how grave, from whom and what, then the fields of our own records."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = {"time": when, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        told |= {"exception": self.formatException(record.exc_info)} if record.exc_info else {}
        told |= getattr(record, "seehear", {})
        return json.dumps({name: _whole(value) for name, value in told.items()}, default=str)


def _whole(value: Any) -> Any:
    # Half a pair of surrogates, which a name that is not UTF-8 has, is no JSON to many who read it.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


@contextmanager
def _told(where: str, formatter: logging.Formatter, *, of: str) -> Iterator[None]:
    """Write what the logger `where` is given to standard error, and let the logger `of` give from INFO on."""
    handler, logger, giver = logging.StreamHandler(), logging.getLogger(where), logging.getLogger(of)
    handler.setFormatter(formatter)
    level = giver.level
    logger.addHandler(handler)
    giver.setLevel(logging.INFO)
    try:
        yield
    finally:
        giver.setLevel(level)
        logger.removeHandler(handler)


def _is_log() -> bool:
    """Whether standard error is a log in JSON."""
    return any(isinstance(handler.formatter, Lines) for handler in logging.getLogger().handlers)
