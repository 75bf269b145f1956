"""Videos through the library: moments with their pictures and words, wall-clock time, and what is missing in part."""

from __future__ import annotations

import copy
import importlib.util
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady

from seehear import Library, Limits, ModelSet
from seehear.errors import InputError, LibraryError, MissingExtra, UnsupportedMedia
from seehear.testing import COLOUR, COLOURS, ColourEncoder, LoudnessTranscriber
from seehear.types import Needs, Route

BOTH = frozenset({"text", "image"})
HEARD = frozenset({"text", "audio"})
SET = ModelSet(
    "footage",
    (Route("visual", COLOUR, BOTH), Route("sound", COLOUR, HEARD), Route("speech", COLOUR, frozenset({"text"}))),
    ("image", "audio", "video"),
)
OpenLibrary = Callable[..., Library]


@pytest.fixture
def library(open_library: OpenLibrary) -> Library:
    return open_library(models=SET, transcriber=LoudnessTranscriber())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Six seconds of red, four of blue, five of white; somebody says something about the blue, by a file beside it."""
    folder = tmp_path / "films"
    folder.mkdir()
    shots = steady([(6, plain(COLOURS["red"])), (4, plain(COLOURS["blue"])), (5, plain(COLOURS["white"]))], 12.5)
    (folder / "day.srt").write_text(
        "1\n00:00:02,000 --> 00:00:03,000\nIt begins.\n\n2\n00:00:06,500 --> 00:00:08,000\nIt turns blue now.\n"
    )
    sound = np.sin(np.arange(15 * 16_000) / 9).astype(np.float32) / 4
    return film(folder / "day.mp4", shots, sound=sound, metadata={"creation_time": "2024-05-03T20:00:00Z"})


def test_a_question_finds_the_moment_with_its_picture_and_its_words(library: Library, path: Path) -> None:
    assert library.add(path).added == [str(path)]
    hit = library.retrieve("blue", modalities={"video"}, channels={"visual", "speech"}, min_score=0)[0]
    assert (hit.modality, hit.start, hit.end) == ("video", pytest.approx(6, abs=0.1), pytest.approx(10, abs=0.1))
    assert {one.channel for one in hit.evidence} >= {"visual", "speech"}
    assert hit.how.startswith(("seen and said", "said and seen"))
    assert "It turns blue now." in hit.text
    assert np.asarray(hit.picture().resize((1, 1)))[0, 0] == pytest.approx(COLOURS["blue"], abs=12)
    assert hit.thumbnail.startswith(b"\xff\xd8\xff")
    assert hit.uri == f"{path.as_uri()}#t=6,10"
    assert hit.transcript() == "0:06 It turns blue now."
    assert hit.transcript(before=5) == "0:02 It begins.\n0:06 It turns blue now."


def test_frames_come_from_inside_the_moment(library: Library, path: Path) -> None:
    library.add(path)
    hit = library.retrieve("white", channels={"visual"}, min_score=0)[0]
    frames = hit.frames(3, pixels=32)
    assert [min(frame.size) for frame in frames] == [32, 32, 32]
    assert all(np.asarray(frame).min() > 240 for frame in frames)
    for wrong in (0, 1000, True, 1.5):
        with pytest.raises(InputError, match="n is how many pictures"):
            hit.frames(wrong)  # type: ignore[arg-type]


def test_a_clip_is_just_the_moment(library: Library, path: Path, tmp_path: Path) -> None:
    import av

    library.add(path)
    hit = library.retrieve("blue", channels={"visual"}, min_score=0)[0]
    with av.open(str(hit.clip(tmp_path / "blue.mp4"))) as made:
        assert made.duration / av.time_base == pytest.approx((hit.end or 0) - (hit.start or 0), abs=0.1)
        assert [stream.type for stream in made.streams] == ["video", "audio"]


def test_a_picture_has_no_moment(library: Library, photos: Path, tmp_path: Path) -> None:
    library.add(photos)
    hit = library.retrieve("red", min_score=0)[0]
    assert (hit.uri, hit.transcript(), hit.thumbnail) == ((photos / "red.png").as_uri(), "", b"")
    for ask in (lambda: hit.frames(2), lambda: hit.clip(tmp_path / "a.mp4")):
        with pytest.raises(UnsupportedMedia, match="but image"):
            ask()


def test_what_a_moment_shows_survives_the_library_and_what_it_asks_says_so(library: Library, path: Path) -> None:
    library.add(path)
    hits = library.retrieve("blue", min_score=0)
    library.close()
    assert "data:image/jpeg;base64," in hits._repr_html_()
    with pytest.raises(LibraryError, match="closed"):
        hits[0].transcript()


def test_a_picture_finds_the_moment_that_looks_like_it(library: Library, path: Path, photos: Path) -> None:
    from seehear import Query

    library.add(path)
    hit = library.retrieve(Query(image=photos / "red.png"), min_score=0)[0]
    assert (hit.start, hit.end) == (pytest.approx(0, abs=0.1), pytest.approx(6, abs=0.1))


def test_a_moment_has_its_own_time_of_day(library: Library, path: Path) -> None:
    library.add(path)
    asked = {"channels": {"visual"}, "min_score": 0}
    assert [hit.start for hit in library.retrieve("blue", after="20:00:07", **asked)] == [pytest.approx(10, abs=0.1)]
    assert library.retrieve("blue", before="20:00:07", k=1, **asked)[0].start == pytest.approx(6, abs=0.1)
    assert library.retrieve("blue", after="2024-05-04", **asked) == []


def test_of_one_file_no_more_moments_come_than_were_asked_for(library: Library, path: Path) -> None:
    library.add(path)
    asked = {"channels": {"visual"}, "min_score": 0}
    assert len(library.retrieve("blue", **asked)) == 3
    assert len(library.retrieve("blue", per_source=1, **asked)) == 1
    with pytest.raises(InputError, match="per_source is how many"):
        library.retrieve("blue", per_source=0)


def test_a_broken_track_of_sound_leaves_the_pictures(library: Library, path: Path, tmp_path: Path) -> None:
    import av

    with av.open(str(path)) as whole:
        places = [(packet.pos, packet.size) for packet in whole.demux(audio=0) if packet.size and packet.pos]
    written = bytearray(path.read_bytes())
    for place, size in places:
        written[place : place + size] = b"\xff" * size
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(written)
    report = library.add(broken)
    (problem,) = report.partial
    assert "sound" in problem.reason
    assert library.retrieve("blue", min_score=0)[0].how == "seen"
    assert [problem.reason for problem in library.add(broken).partial] == []
    assert library.info()["problems"][0]["reason"] == problem.reason


def test_the_same_bytes_under_two_names_are_looked_at_once(
    library: Library, encoder: ColourEncoder, path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(path.read_bytes())
    path.with_suffix(".srt").unlink()
    library.add([path, copy])
    embedded = len(encoder.embedded)
    hits = library.retrieve("blue", channels={"visual"}, min_score=0, per_source=1)
    assert {hit.source for hit in hits} == {str(path), str(copy)}
    assert all(hit.thumbnail for hit in hits)
    library.add(tmp_path / "copy.mp4")
    assert len(encoder.embedded) == embedded


def test_removing_a_video_leaves_no_thumbnail(library: Library, path: Path) -> None:
    library.add(path)
    library.remove(path)
    assert library._parts.ledger.scenes.thumbnail("films/day.mp4", 7.0) == b""


def test_frames_can_be_chosen_by_shots_and_that_is_remembered(open_library: OpenLibrary, path: Path) -> None:
    with open_library(models=SET, transcriber=LoudnessTranscriber(), frames="shots") as library:
        library.add(path)
        assert library.retrieve("blue", channels={"visual"}, min_score=0)[0].start == pytest.approx(6, abs=0.1)
    with open_library(models=SET, transcriber=LoudnessTranscriber()) as library:
        assert library.add(path).unchanged == [str(path)]
    with open_library(models=SET, transcriber=LoudnessTranscriber(), frames="keyframes") as library:
        assert library.add(path).changed == [str(path)]
    with pytest.raises(InputError, match="keyframes or shots"):
        open_library(models=SET, frames="best")


def test_a_video_that_holds_sound_alone_is_a_recording(library: Library, tmp_path: Path) -> None:
    from recordings import tone, write

    path = write(tmp_path / "voice.mp4", tone(3.0, 48_000))
    assert library.add(path).added == [str(path)]
    assert library.retrieve("red", min_score=0)[0].modality == "audio"


def test_how_far_into_a_video_it_is_is_told(library: Library, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seehear.tally.PULSE", 0.0)
    told: list[tuple[int, int, str]] = []
    library.add(path, progress=lambda done, total, name: told.append((done, total, name)))
    assert (0, 1, f"{path}, 0:06") in told
    assert told[-1] == (1, 1, str(path))


def test_a_still_camera_gives_a_picture_a_minute(library: Library, tmp_path: Path) -> None:
    path = film(tmp_path / "still.mp4", steady([(150, plain(COLOURS["blue"], (64, 48)))], 2))
    library.add(path)
    hits = library.retrieve("blue", channels={"visual"}, min_score=0)
    assert all((hit.end or 0) - (hit.start or 0) <= 65 for hit in hits)
    assert len(hits) >= 2


def test_one_long_file_does_not_keep_others_out_where_each_may_fill_one_place(library: Library, tmp_path: Path) -> None:
    colours = [(COLOURS["blue"] if n % 2 else COLOURS["white"]) for n in range(160)]
    film(tmp_path / "long.mp4", steady([(1.5, plain(colour, (64, 48))) for colour in colours], 4))
    for n in range(3):
        film(tmp_path / f"short{n}.mp4", steady([(2, plain((10 * n, 0, 235), (64, 48)))], 5))
    library.add(sorted(tmp_path.glob("*.mp4")))
    hits = library.retrieve("blue", k=4, per_source=1, channels={"visual"}, min_score=0)
    assert len({hit.source for hit in hits}) == len(hits) == 4


def test_an_encoder_that_wants_pictures_as_they_are_gets_those_of_videos(open_library: OpenLibrary, path: Path) -> None:
    class Whole(ColourEncoder):
        needs = Needs()

    library = open_library(models=SET, encoders={COLOUR: Whole()}, transcriber=LoudnessTranscriber())
    library.add(path)
    assert library.retrieve("blue", channels={"visual"}, min_score=0)[0].start == pytest.approx(6, abs=0.1)


def test_where_nobody_watches_videos_they_are_heard(open_library: OpenLibrary, path: Path) -> None:
    deaf = ModelSet("heard", SET.routes[1:], ("audio",))
    library = open_library(models=deaf, transcriber=LoudnessTranscriber())
    assert library.add(path).added == [str(path)]
    assert library.retrieve("red", min_score=0)[0].modality == "audio"
    with pytest.raises(InputError, match="look at no videos"):
        open_library(tmp_path_of(path), models=deaf, frames="shots")


def tmp_path_of(path: Path) -> Path:
    return path.parent.parent / "another"


@pytest.mark.parametrize("missing", ["cv2", "scenedetect"])
def test_a_missing_package_is_told_before_anything_is_remembered(
    open_library: OpenLibrary, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("seehear.assembly.find_spec", lambda name: None if name == missing else found(name))
    with pytest.raises(MissingExtra, match=rf"{missing}, which is not installed: pip install"):
        open_library(models=SET, frames="shots")


def test_a_video_that_cannot_be_watched_for_want_of_a_package_keeps_what_it_had(
    library: Library, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(path)
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "cv2.py").write_text("raise ImportError('no cv2')")
    monkeypatch.syspath_prepend(str(blocked))
    library._parts.pool.close()
    film(path, steady([(4, plain(COLOURS["blue"])), (4, plain(COLOURS["red"]))], 12.5))
    (problem,) = library.add(path).failed
    assert "videos need the package cv2" in problem.reason
    assert library.retrieve("white", channels={"visual"}, min_score=0)[0].start == pytest.approx(10, abs=0.1)


def test_a_moment_can_be_pickled_and_copied(library: Library, path: Path) -> None:
    library.add(path)
    hit = library.retrieve("blue", channels={"visual"}, min_score=0)[0]
    again = pickle.loads(pickle.dumps(hit))  # noqa: S301 - our own
    assert again == hit == copy.deepcopy(hit)
    assert (again.thumbnail, again.transcript()) == (hit.thumbnail, "")


def test_limits_of_the_library_hold_for_its_hits(open_library: OpenLibrary, path: Path) -> None:
    library = open_library(models=SET, transcriber=LoudnessTranscriber(), limits=Limits(pixels=128 * 96))
    library.add(path)
    hit = library.retrieve("blue", channels={"visual"}, min_score=0)[0]
    assert hit.limits.pixels == 128 * 96
    assert hit.picture().size == (128, 96)


def test_a_sentence_that_claims_to_take_no_time_is_found_once(library: Library, path: Path) -> None:
    path.with_suffix(".srt").write_text(
        "1\n00:00:05,000 --> 00:00:05,000\nvery blue here\n\n2\n00:00:05,000 --> 00:00:05,000\nvery blue here\n"
    )
    library.add(path)
    hits = library.retrieve("blue", channels={"speech"}, min_score=0)
    assert len({hit.id for hit in hits}) == len(hits) == 1
    assert hits[0].transcript() == "0:05 very blue here"
