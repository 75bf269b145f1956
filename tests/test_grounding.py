"""Moments are judged as the field judges them, on values computed by hand; a file of questions says what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seehear.errors import InputError
from seehear.grounding import Grounding, Moment, Question, asks_for_moments, grounding, iou, read_questions
from seehear.hits import Hit

Stretch = tuple[float, float]
FILM = "/films/one.mp4"


def hit(start: float | None, end: float | None, source: str = FILM) -> Hit:
    return Hit(f"{source}{start}", source, "video", start, end, 0.5, "", {}, ())


def asked(hits: Sequence[Hit], *right: Stretch) -> Grounding:
    question = Question("what?", tuple(Moment(Path(FILM), *one) for one in right))
    return grounding(lambda _: hits, [question])


def stretches() -> st.SearchStrategy[Stretch]:
    times = st.floats(0, 1000, allow_nan=False)
    return st.tuples(times, times).map(lambda pair: (min(pair), max(pair)))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 10), (0, 10), 1),
        ((0, 10), (5, 15), 5 / 15),
        ((0, 10), (2, 4), 0.2),
        ((0, 10), (10, 20), 0),
        ((0, 10), (11, 12), 0),
        ((3, 3), (0, 10), 0),
        ((3, 3), (3, 3), 0),
    ],
)
def test_iou_is_what_is_shared_over_what_is_covered(one: Stretch, other: Stretch, expected: float) -> None:
    assert iou(one, other) == pytest.approx(expected)


@given(stretches(), stretches())
def test_iou_has_no_order_and_stays_within_its_bounds(one: Stretch, other: Stretch) -> None:
    assert iou(one, other) == pytest.approx(iou(other, one))
    assert 0 <= iou(one, other) <= 1 + 1e-9


def test_recall_asks_for_one_hit_among_the_first_that_overlaps_enough() -> None:
    found = asked([hit(0, 4), hit(10, 16), hit(10, 20)], (10, 20))
    assert [found.recall[1][least].value for least in (0.3, 0.5, 0.7)] == [0, 0, 0]
    assert [found.recall[5][least].value for least in (0.3, 0.5, 0.7)] == [1, 1, 1]
    found = asked([hit(10, 15)], (10, 20))  # exactly half is enough
    assert [found.recall[1][least].value for least in (0.3, 0.5, 0.7)] == [1, 1, 0]


def test_the_sixth_hit_does_not_count() -> None:
    found = asked([*[hit(0, 1)] * 5, hit(10, 20)], (10, 20))
    assert found.recall[5][0.3].value == 0
    assert found.near[5].value == 0


def test_mean_iou_is_that_of_the_first_hit() -> None:
    assert asked([hit(10, 14), hit(10, 20)], (10, 20)).mean_iou.value == pytest.approx(0.4)


def test_each_of_several_moments_is_right() -> None:
    found = asked([hit(50, 58)], (10, 20), (50, 60))
    assert found.mean_iou.value == pytest.approx(0.8)
    assert found.recall[1][0.7].value == 1


def test_another_file_is_wrong_at_any_time() -> None:
    found = asked([hit(10, 20, "/films/other.mp4")], (10, 20))
    assert found.mean_iou.value == 0
    assert found.near[1].value == 0


def test_the_same_file_by_another_way_is_right(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.mp4").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    question = Question("what?", (Moment(tmp_path / "link" / "a.mp4", 1, 2),))
    found = grounding(lambda _: [hit(1, 2, str(tmp_path / "real" / "a.mp4"))], [question])
    assert found.mean_iou.value == 1


@pytest.mark.parametrize(("start", "near"), [(5, 1), (4.9, 0), (15, 1), (15.1, 0), (10, 1)])
def test_a_hit_is_near_when_it_begins_within_five_seconds_of_the_beginning(start: float, near: int) -> None:
    assert asked([hit(start, start + 0.1)], (10, 40)).near[1].value == near


def test_a_whole_film_is_near_to_nothing_though_it_overlaps() -> None:
    found = asked([hit(0, 100)], (10, 60))
    assert found.recall[1][0.5].value == 1
    assert found.near[1].value == 0


def test_no_hit_and_a_hit_without_a_time_are_wrong() -> None:
    for hits in ([], [hit(None, None)]):
        found = asked(hits, (0, 10))
        assert found.mean_iou.value == found.near[5].value == found.recall[5][0.3].value == 0


def test_shares_are_over_questions_and_each_is_asked_once() -> None:
    answers = {"a": [hit(0, 10)], "b": [hit(0, 1), hit(20, 28)], "c": [], "d": [hit(5, 10)]}
    moments = {"a": (0.0, 10.0), "b": (20.0, 30.0), "c": (0.0, 1.0), "d": (0.0, 10.0)}
    heard: list[str] = []

    def retrieve(text: str) -> list[Hit]:
        heard.append(text)
        return answers[text]

    found = grounding(retrieve, [Question(text, (Moment(Path(FILM), *moments[text]),)) for text in moments])
    assert heard == ["a", "b", "c", "d"]
    assert found.questions == 4
    assert found.recall[1][0.5].value == 0.5
    assert found.recall[5][0.7].value == 0.5
    assert found.recall[5][0.5].value == 0.75
    assert found.mean_iou.value == pytest.approx((1 + 0 + 0 + 0.5) / 4)
    assert (found.near[1].value, found.near[5].value) == (0.5, 0.75)


def test_the_interval_holds_the_value_and_narrows_with_more_questions() -> None:
    def ask(count: int) -> Grounding:
        questions = [Question(str(n), (Moment(Path(FILM), 0, 10),)) for n in range(count)]
        return grounding(lambda text: [hit(0, 10)] if int(text) % 2 else [], questions)

    few, many = ask(20).recall[1][0.5], ask(200).recall[1][0.5]
    for mean in (few, many):
        assert mean.interval[0] < mean.value < mean.interval[1]
    # Of n questions half of which succeed, the mean has a deviation of sqrt(0.25 / n).
    assert few.interval[1] - few.interval[0] == pytest.approx(2 * 1.96 * (0.25 / 20) ** 0.5, rel=0.2)
    assert many.interval[1] - many.interval[0] == pytest.approx(2 * 1.96 * (0.25 / 200) ** 0.5, rel=0.2)
    assert asked([hit(0, 10)], (0, 10)).recall[1][0.5].interval == (1, 1)


def test_it_becomes_json() -> None:
    found = json.loads(json.dumps(asdict(asked([hit(0, 10)], (0, 10)))))
    assert found["questions"] == 1
    assert found["recall"]["5"]["0.5"] == {"value": 1.0, "interval": [1.0, 1.0]}


def test_there_must_be_questions() -> None:
    with pytest.raises(InputError, match="no questions"):
        grounding(lambda _: [], [])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "a.mp4").touch()
    return tmp_path / "questions.csv"


def test_questions_are_read_with_their_moments(table: Path) -> None:
    table.write_text(
        "\ufeffchannel,question,source,start,end,how\n"
        "sound,who barks?,a.mp4,12.4,18,cut\n"
        "sound, who barks? ,a.mp4,1:02:03.5,1:02:10,fade\n"
        ",what?,a.mp4,2:05,02:06.250,cut\n",
        encoding="utf-8",
    )
    film = table.parent / "a.mp4"
    assert read_questions(table) == [
        Question("who barks?", (Moment(film, 12.4, 18), Moment(film, 3723.5, 3730)), "sound"),
        Question("what?", (Moment(film, 125, 126.25),)),
    ]


def test_a_file_of_questions_is_known_by_its_first_line(table: Path) -> None:
    assert not asks_for_moments(table)
    for content, asks in (
        (b"", 0),
        (b"image,caption\na,question\n", 0),
        (b"\xff\n", 0),
        (b"\xef\xbb\xbfquestion,source", 1),
    ):
        table.write_bytes(content)
        assert asks_for_moments(table) == asks


def test_no_column_of_channels_is_needed(table: Path) -> None:
    table.write_text("question,source,start,end\nwhat?,a.mp4,0,90\n")
    assert read_questions(table) == [Question("what?", (Moment(table.parent / "a.mp4", 0, 90),))]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        (b"", "needs the columns question, source, start, end"),
        (b"question,source,start\na,a.mp4,1\n", "end is not there"),
        (b"question,source,start,end\n", "has no rows"),
        (b"question,source,start,end\n\xff,a.mp4,1,2\n", "cannot be read"),
        (b"question,source,start,end\nx,a.mp4,1,2\n,a.mp4,1,2\n", "line 3: question and source"),
        (b"question,source,start,end\nx,a.mp4,1\n", "line 2: end is ''"),
        (b"question,source,start,end\nx,a.mp4,one,2\n", "line 2: start is 'one'"),
        (b"question,source,start,end\nx,a.mp4,1:60,2:30\n", "line 2: start is '1:60'"),
        (b"question,source,start,end\nx,a.mp4,1:60:00,2:00:00\n", "line 2: start is '1:60:00'"),
        (b"question,source,start,end\nx,a.mp4,-1,2\n", "line 2: start is '-1'"),
        (b"question,source,start,end\nx,a.mp4,nan,2\n", "line 2: start is 'nan'"),
        (b"question,source,start,end\nx,a.mp4,1," + b"9" * 400 + b"\n", "no file is so long"),
        (b"question,source,start,end\nx,a.mp4,2,2\n", "line 2: the moment ends before"),
        (b"question,source,start,end\nx,b.mp4,1,2\n", "line 2: there is no file .*b.mp4"),
        (b"question,source,start,end,channel\nx,a.mp4,1,2,smell\n", "line 2: 'smell' is no channel"),
        (b"question,source,start,end,channel\nx,a.mp4,1,2,sound\nx,a.mp4,3,4,speech\n", "line 3: .*another channel"),
        (b'question,source,start,end\n"x\ny",a.mp4,1,2\nz,a.mp4,1,1\n', "line 4: the moment"),
    ],
)
def test_a_file_of_questions_that_cannot_be_used_says_why(table: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_questions(table)
