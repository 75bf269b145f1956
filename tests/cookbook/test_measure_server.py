"""Writers and readers of one library on a Chroma server: the script that measures it, for a moment, and its eyes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from seehear.hits import Evidence, Hit
from seehear.types import Picture, Text

COOKBOOK = Path(__file__).parents[2] / "cookbook"


@pytest.mark.parametrize(
    ("seconds", "writers", "readers", "items"), [(1, 2, 1, 9), pytest.param(60, 2, 4, 36, marks=pytest.mark.slow)]
)
def test_nobody_gets_an_error_or_a_torn_or_stale_answer(seconds: int, writers: int, readers: int, items: int) -> None:
    options = [f"--seconds={seconds}", f"--writers={writers}", f"--readers={readers}", f"--items={items}"]
    done = subprocess.run(
        [sys.executable, COOKBOOK / "measure_server.py", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("error 0, torn 0, stale 0, missing 0, left over 0\n")
    did = re.findall(r"(\d+) (?:writers|readers), ([\d,]+) (?:writes|questions)", done.stdout)
    assert [int(count) for count, _ in did] == [writers, readers]
    assert all(int(count.replace(",", "")) >= seconds for _, count in did)
    assert "waited for their turns p50" in done.stdout


@pytest.fixture(scope="module")
def things() -> ModuleType:
    """What the script tells versions by."""
    spec = importlib.util.spec_from_file_location("versioned_things", COOKBOOK / "versioned_things.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_encoder_sees_which_version_a_picture_or_a_text_is_of(things: ModuleType) -> None:
    encoder = things.Versions()
    asked = encoder.embed([Text("w1i3"), Text("w1i4")], "query")
    shown = [Picture(np.asarray(things.draw("w1i3", version))) for version in (0, 7, 49)]
    written = [Text(part) for part in things.write("w1i4", 7).split(things.GAP)]
    np.testing.assert_allclose(encoder.embed(shown, "document") @ asked[0], [0.7, 0.735, 0.945], atol=1e-5)
    np.testing.assert_allclose(encoder.embed(written, "document") @ asked[1], [0.735] * 3, atol=1e-5)


def hit(things: ModuleType, name: str, place: str, version: int, text: str = "", seen: int | None = None) -> Hit:
    """An answer; `seen` is the version of its vector."""
    similarity = things.LEAST + things.STEP * (version if seen is None else seen)
    evidence = Evidence(text, "text", things.NAME, 1, similarity, 0.9, None, None, text, ())
    return Hit(name, place, "text", None, None, 0.9, text, {"item": name, "version": version}, (evidence,))


def test_what_is_wrong_with_an_answer_is_seen(things: ModuleType) -> None:
    may = {"w0i1": [("a.txt", 4)], "w0i4": [None, ("b.txt", 1)], "w0i3": [("c.png", 2), ("c.png", 3)]}
    parts = [hit(things, "w0i1", "a.txt", 4, text) for text in things.write("w0i1", 4).split(things.GAP)]
    other = hit(things, "w0i3", "c.png", 3)

    def seen(name: str, *hits: Hit) -> list[str]:
        return sorted({how for how, _ in things.faults(hits, name, may)})

    assert seen("w0i1", *parts, other) == []
    assert seen("w0i1", *parts[1:]) == ["torn"]  # a part is missing
    assert seen("w0i1") == ["stale"]  # it was there
    assert seen("w0i1", *[hit(things, "w0i1", "a.txt", 4, one.text, seen=3) for one in parts]) == ["torn"]
    older = [hit(things, "w0i1", "a.txt", 3, text) for text in things.write("w0i1", 3).split(things.GAP)]
    assert seen("w0i1", *older) == ["stale"]
    assert seen("w0i1", *parts, *older) == ["torn"]
    assert seen("w0i1", *parts, hit(things, "w0i3", "c.png", 1)) == ["stale"]  # of another thing in the same answer
    assert seen("w0i4") == []  # it is on its way
    assert seen("w0i3", other) == []
    assert seen("w0i3", other, hit(things, "w0i3", "d.png", 3)) == ["torn"]  # in two places


def test_what_was_replaced_may_be_shown_until_the_next_question_begins(things: ModuleType, tmp_path: Path) -> None:
    log, story = things.Log(tmp_path / "0.log"), things.Story([tmp_path / "0.log"])
    old, new = ("a.txt", 1), ("a.txt", 2)
    log.tell({"w0i1": old}, done=False)
    log.tell({"w0i1": old}, done=True)
    story.begin()
    assert story.may == {"w0i1": [old]}
    log.tell({"w0i1": new}, done=False)
    story.follow()
    assert story.may == {"w0i1": [old, new]}
    assert story.busy() == ["w0i1"]
    log.tell({"w0i1": new}, done=True)
    story.follow()
    assert story.may == {"w0i1": [old, new]}  # the question began before
    story.begin()
    assert story.may == {"w0i1": [new]}
    assert not story.busy()
