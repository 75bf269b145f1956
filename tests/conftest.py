"""Pictures that are drawn, a fake model set, and a user's environment that no test may see."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from seehear import Library
from seehear.testing import COLOUR, COLOUR_SET, COLOURS, ColourEncoder

pytest_plugins = ["offline"]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No test depends on the user's variables or works in his folder."""
    for name in ("SEEHEAR_LIBRARY", "SEEHEAR_DEVICE", "SEEHEAR_PRECISION", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    yield
    # SVT-AV1, which writes some of our films, gives whoever calls it as root the priority of real time. A thread that
    # waits busily for others, as those of matrix libraries do, then keeps them from the processor for ever.
    if hasattr(os, "sched_setscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a picture of each colour, one of them in a folder below."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for number, (name, colour) in enumerate(COLOURS.items()):
        below = folder / "more" if name == "white" else folder
        Image.new("RGB", (40 + number, 30), colour).save(below / f"{name}.png")
    return folder


@pytest.fixture
def encoder() -> ColourEncoder:
    return ColourEncoder()


OpenLibrary = Callable[..., Library]


@pytest.fixture
def open_library(tmp_path: Path, encoder: ColourEncoder) -> Iterator[OpenLibrary]:
    """Open the test's library with the fake encoder; whatever is left open is closed."""
    opened: list[Library] = []

    def open_(path: Path | None = None, **options: object) -> Library:
        options = {"models": COLOUR_SET, "encoders": {COLOUR: encoder}, **options}
        opened.append(Library.open(path or tmp_path / "library", **options))  # type: ignore[arg-type]
        return opened[-1]

    yield open_
    for library in opened:
        library.close()


@pytest.fixture
def library(open_library: OpenLibrary) -> Library:
    return open_library()
