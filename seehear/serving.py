"""The command `serve`: a library as an MCP server, which a client starts and talks to through pipes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from seehear.errors import InputError
from seehear.terminal import print_lines

STOPPED = 130
"""Exit status: interrupted."""


def parser(
    commands: Any, parents: Sequence[argparse.ArgumentParser], bounds: Callable[[argparse.Namespace], dict[str, Any]]
) -> None:
    """Add the command to those of `seehear`.

    `parents` have `--library` and the options that `bounds` makes fields of Query of: what may be found at all.
    """
    serve = commands.add_parser(
        "serve",
        parents=list(parents),
        help="let an MCP client search",
        description="Serve a library to an MCP client over standard input and output, which starts this command "
        "itself. Its model may search, look and read, and change nothing. The library is taken until it ends.",
    )
    serve.add_argument(
        "--pictures", type=int, metavar="N", help="most pictures in one answer (default: 4); 0 for a model without eyes"
    )
    serve.add_argument("--pixels", type=int, metavar="N", help="most pixels of one picture (default: 400000)")
    serve.add_argument("--bytes", type=int, metavar="N", help="most bytes of all of them as JPEG (default: 1000000)")
    serve.add_argument(
        "--no-links", action="store_true", help="without links to hits, for clients that refuse answers that have them"
    )
    serve.set_defaults(run=_serve, bounds=bounds)


def _serve(given: argparse.Namespace) -> int:
    from seehear.blocks import Budget
    from seehear.library import Library
    from seehear.registry import load

    if not sys.stdin or not sys.stdout:
        raise InputError("An MCP client talks to this command through standard input and output; they are closed.")
    most = {name: getattr(given, name) for name in ("pictures", "pixels", "bytes")}
    budget = Budget(**{name: value for name, value in most.items() if value is not None})
    bounds = {name: value for name, value in given.bounds(given).items() if value is not None}
    serve = load("mcp", "server")
    pipes = _taken()
    with Library.open(given.library, create=False) as library:
        retriever = library.retriever(**bounds)
        files = retriever.sources(most=1)[1]
        if not files and bounds.keys() & {"modalities", "where", "after", "before"}:
            raise InputError(f"No file in {library.path} is what --modality, --where, --after and --before ask for.")
        if os.isatty(pipes[0]):  # a client writes what it reads here into a log, as an error
            print_lines([f"Serving {library.path} ({files} files) to an MCP client on this terminal."], error=True)
        _log()
        try:
            serve(retriever, budget, links=not given.no_links, pipes=pipes)
        except KeyboardInterrupt:
            return STOPPED
    return 0


def _taken() -> tuple[int, int]:
    """The client's pipes, out of reach of whatever prints, of programs that we start, and of files that are opened."""
    null = os.open(os.devnull, os.O_RDWR)
    while null < 3:  # places that were closed would go to the next file
        null = os.dup(null)
    pipes = os.dup(0), os.dup(1)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return pipes


class _Clean(logging.Formatter):
    """A log may hold names of files, and what a client sent."""

    def format(self, record: logging.LogRecord) -> str:
        from seehear.wording import shown

        return "\n".join(shown(line) for line in super().format(record).splitlines())


def _log() -> None:
    """What goes wrong is told on standard error, warnings of files among it: standard output is the protocol's."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Clean("seehear: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
