"""The footage is what it says: events where the questions say they are, half of them without a cut, true timestamps.

A few seconds of it are built from the data beside the project; without that there is nothing to build from.
"""

from __future__ import annotations

import csv
from itertools import combinations, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

COOKBOOK = Path(__file__).parents[2] / "cookbook"
DATA = COOKBOOK.parents[1] / "shared" / "data"
Row = dict[str, str]

pytestmark = pytest.mark.skipif(
    not all((DATA / name).is_dir() for name in ("videos", "sounds", "speech", "coco", "flickr8k")),
    reason="../shared/data is not here: there are no clips, sounds and sentences to build footage from",
)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("footage")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(COOKBOOK)
        from footage import Plan, build

        build(DATA, folder, Plan(seen=4, heard=4, said=4, lengths=(2, 3), gaps=(0.5, 1)))
    return folder


@pytest.fixture(scope="module")
def rows(footage: Path) -> list[Row]:
    with (footage / "questions.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shown(path: Path) -> list[float]:
    """When each picture is shown, seconds."""
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def share(one: Row, other: Row) -> float:
    """Seconds that two events have in common."""
    if one["source"] != other["source"]:
        return 0.0
    return min(float(one["end"]), float(other["end"])) - max(float(one["start"]), float(other["start"]))


def test_every_event_lies_in_its_file_and_is_asked_for_once(footage: Path, rows: list[Row]) -> None:
    assert len(rows) == len({row["question"] for row in rows}) == 12
    assert {row["channel"] for row in rows} == {"visual", "sound", "speech"}
    ends = {path.name: shown(path)[-1] for path in footage.glob("*.mp4")}
    assert len(ends) == 3
    for row in rows:
        assert 0 <= float(row["start"]) < float(row["end"]) < ends[row["source"]]


def test_what_has_no_cut_overlaps_another_channel_and_what_has_stands_alone(rows: list[Row]) -> None:
    assert sum(row["how"] != "cut" for row in rows) * 2 == len(rows)
    overlapping = set()
    for one, other in combinations(rows, 2):
        if share(one, other) > 0:
            assert one["channel"] != other["channel"]
            assert share(one, other) > 0.5
            overlapping |= {one["question"], other["question"]}
    assert overlapping == {row["question"] for row in rows if row["how"] != "cut"}


def test_one_video_varies_its_rate_and_the_others_do_not(footage: Path) -> None:
    for path in footage.glob("*.mp4"):
        gaps = [later - earlier for earlier, later in pairwise(shown(path))]
        assert min(gaps) > 0
        spread = np.ptp(np.round(gaps, 4))
        assert (spread > 0.05) if path.name == "varying.mp4" else (spread < 0.001)


def test_what_is_seen_begins_and_ends_when_the_questions_say(footage: Path, rows: list[Row]) -> None:
    for row in (row for row in rows if row["channel"] == "visual" and row["how"] == "cut"):
        with av.open(str(footage / row["source"])) as container:
            pictures = [(frame.time, frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
        change = {
            later: np.abs(picture.astype(float) - before).mean() for (_, before), (later, picture) in pairwise(pictures)
        }
        for edge in (float(row["start"]), float(row["end"])):
            near = {time: value for time, value in change.items() if abs(time - edge) < 1}
            assert 0 <= max(near, key=lambda time: near[time]) - edge < 0.25


def test_what_is_heard_and_said_is_louder_than_what_is_around_it(footage: Path, rows: list[Row]) -> None:
    for path in footage.glob("*.mp4"):
        with av.open(str(path)) as container:
            rate = container.streams.audio[0].rate
            sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        there = np.zeros(len(sound), bool)
        for row in rows:
            if row["source"] == path.name and row["channel"] != "visual":
                part = slice(int(float(row["start"]) * rate), int(float(row["end"]) * rate))
                assert np.sqrt((sound[part] ** 2).mean()) > 0.02
                there[max(0, part.start - rate) : part.stop + rate] = True
        assert np.sqrt((sound[~there] ** 2).mean()) < 0.01
