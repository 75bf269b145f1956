"""Videos as segments: what is seen, heard and said, when; and what is kept of a video that is only good in part."""

from __future__ import annotations

import io
import sys
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from films import Array, film, plain, remuxed, steady
from PIL import Image
from recordings import tone, write

from seehear.errors import DamagedMedia, MediaNote, MediaTooLarge, MissingExtra, MissingPart, UnsupportedMedia
from seehear.media import Limits, open_source
from seehear.modalities.audio import AudioModality
from seehear.modalities.difference import GRID, NEW, Look
from seehear.modalities.tags import described
from seehear.modalities.video import ShotsModality, VideoModality
from seehear.testing import ModalityContract
from seehear.types import Content, Needs, Picture, Segment, Text

RATE = 16_000
SEES = Needs(pixels=32)
HEARS = Needs(rate=RATE, window=2.0, pictures=False)
ALL = Needs(pixels=32, rate=RATE, window=2.0, speech=True)
FAST = {"preset": "ultrafast"}
RED, GREEN, BLUE = plain((200, 20, 20)), plain((20, 160, 20)), plain((20, 20, 200))
DATA = Path(__file__).parents[3] / "shared" / "data" / "videos"
SRT = "1\n00:00:00,500 --> 00:00:01,500\nWords of a file.\n"
WAYS = [VideoModality, ShotsModality]
Piece = tuple[Segment, Content]


def cut(path: Path, needs: Needs, way: type[VideoModality] | type[ShotsModality] = VideoModality) -> list[Piece]:
    with open_source(path, "key", Limits()) as source:
        return [piece for piece in way(Limits()).segments(source, needs) if piece is not None]


def spans(pieces: list[Piece], channel: str = "visual") -> list[tuple[float | None, float | None]]:
    return [(segment.start, segment.end) for segment, _ in pieces if segment.channel == channel]


def colours(pieces: list[Piece]) -> str:
    """The strongest of red, green and blue of each picture."""
    pictures = [content for _, content in pieces if isinstance(content, Picture)]
    return "".join("rgb"[int(np.argmax(picture.pixels.mean(axis=(0, 1))))] for picture in pictures)


def talking(path: Path, seconds: float = 4) -> Path:
    return film(path, steady([(seconds, RED)]), sound=tone(seconds, RATE), options=FAST)


def textured(shift: int = 0, size: tuple[int, int] = (128, 96)) -> Array:
    """A picture with structure in it, that is moved to the right."""
    rng = np.random.default_rng(3)
    small = Image.fromarray(rng.integers(60, 180, (size[1] // 8, size[0] // 8, 3), np.uint8))
    return np.roll(np.asarray(small.resize(size, Image.Resampling.BICUBIC)), shift, axis=1)


class TestVideoModality(ModalityContract):
    @pytest.fixture
    def modality(self) -> VideoModality:
        return VideoModality(Limits())

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return film(tmp_path / "a.mp4", steady([(2, RED), (2, BLUE)]), every=25, sound=tone(4, RATE), options=FAST)


class TestShotsModality(TestVideoModality):
    @pytest.fixture
    def modality(self) -> ShotsModality:  # type: ignore[override]
        return ShotsModality(Limits())


@pytest.mark.parametrize("way", WAYS)
def test_what_is_kept_tiles_the_video(tmp_path: Path, way: type[VideoModality]) -> None:
    shots = [(3, RED), (2, GREEN), (4, BLUE), (3, RED)]
    path = film(tmp_path / "a.mp4", steady(shots), every=25, options={"sc_threshold": "0", **FAST})
    pieces = cut(path, SEES, way)
    assert spans(pieces) == [pytest.approx(span, abs=0.001) for span in ((0, 3), (3, 5), (5, 9), (9, 12))]
    assert colours(pieces) == "rgbr"
    assert all(before[1] == after[0] for before, after in pairwise(spans(pieces)))
    assert {(segment.modality, segment.channel) for segment, _ in pieces} == {("video", "visual")}


@pytest.mark.parametrize("way", WAYS)
def test_times_are_those_of_a_start_that_is_not_zero_and_of_a_rate_that_varies(
    tmp_path: Path, way: type[VideoModality]
) -> None:
    rng = np.random.default_rng(8)
    times = (5 + np.cumsum(rng.uniform(0.02, 0.1, 160))).round(3)
    red = int(np.searchsorted(times, times[0] + 4))
    pictures = [(t, RED if n < red else BLUE) for n, t in enumerate(times)]
    pieces = cut(film(tmp_path / "a.mkv", pictures, every=1, options=FAST), SEES, way)
    first, second = spans(pieces)
    assert first == pytest.approx((times[0], times[red]), abs=0.6 if way is VideoModality else 0.001)
    assert second == (first[1], pytest.approx(times[-1], abs=0.2))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_almost_the_same_is_dropped(tmp_path: Path, way: type[VideoModality]) -> None:
    rng = np.random.default_rng(1)
    still = textured().astype(int)

    def flickering() -> Array:  # noise of the sensor, and light that comes and goes
        return (still * rng.uniform(0.86, 1.14) + rng.normal(0, 20, still.shape)).clip(0, 255).astype(np.uint8)

    path = film(tmp_path / "a.mp4", [(n / 5, flickering()) for n in range(150)], every=5, options={"crf": "35", **FAST})
    (span,) = spans(cut(path, SEES, way))
    assert span == (0, pytest.approx(30, abs=0.2))


def test_exposure_is_nothing_new_but_another_colour_is() -> None:
    room = np.asarray(Image.fromarray(textured()).resize(GRID))
    looks = [Look((room * gain).clip(0, 255).astype(np.uint8)) for gain in (0.85, 1.0, 1.15)]
    assert all(looks[1].difference(look) < NEW / 2 for look in looks)
    assert looks[0].difference(looks[2]) < NEW
    assert Look(plain((200, 20, 20), GRID)).difference(Look(plain((20, 20, 200), GRID))) > 5 * NEW


@pytest.mark.parametrize("way", WAYS)
def test_somebody_who_enters_an_empty_room_is_new(tmp_path: Path, way: type[VideoModality]) -> None:
    room = textured()
    somebody = room.copy()
    somebody[40:80, 60:74] = (30, 30, 90)  # 5 % of the picture
    path = film(tmp_path / "a.mp4", steady([(4, room), (4, somebody), (4, room)], 10), every=10, options=FAST)
    assert spans(cut(path, SEES, way)) == [pytest.approx(s, abs=0.6) for s in ((0, 4), (4, 8), (8, 12))]


@pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data/videos")
@pytest.mark.parametrize("way", WAYS)
def test_of_real_footage_what_is_kept_differs(way: type[VideoModality]) -> None:
    counts = {}
    for name in ("intel_cars", "intelgif_classroom", "intelgif_head-pose-face-detection-male"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MediaNote)
            pieces = cut(DATA / f"{name}.mp4", Needs(pixels=224), way)
        counts[name] = len(pieces)
        thumbs = [Image.open(io.BytesIO(segment.thumbnail)).resize(GRID) for segment, _ in pieces]
        looks = [Look(np.asarray(thumb)) for thumb in thumbs]
        assert all(one.difference(other) > 0.8 * NEW for one, other in pairwise(looks))
    assert counts["intelgif_classroom"] == counts["intelgif_head-pose-face-detection-male"] == 1
    assert 8 <= counts["intel_cars"] <= 16


def test_shots_are_found_at_their_frames_and_stand_by_their_middle(tmp_path: Path) -> None:
    lengths = [1.2, 0.8, 2.4, 1.6, 3.0]
    pictures = [textured(), GREEN, textured(64), BLUE, textured(20)]
    marked = []
    start = 0.0
    for length, picture in zip(lengths, pictures, strict=True):
        for number in range(round(25 * length)):
            drawn = picture.copy()
            drawn[:6, :6] = round(250 * number / (25 * length))  # how far the shot is
            marked.append((start + number / 25, drawn))
        start += length
    path = film(tmp_path / "a.mp4", marked, options={"sc_threshold": "0", "crf": "15", **FAST})
    pieces = cut(path, Needs(pixels=96), ShotsModality)
    edges = np.cumsum([0, *lengths])
    assert spans(pieces) == [pytest.approx(span, abs=0.001) for span in pairwise(edges)]
    for _, content in pieces:
        assert isinstance(content, Picture)
        assert 0.2 < content.pixels[1:4, 1:4].mean() / 250 < 0.8


def test_a_long_shot_is_split_where_something_changes(tmp_path: Path) -> None:
    fade = [(n / 10, (RED * (1 - n / 20) + BLUE * (n / 20)).astype(np.uint8)) for n in range(20)]
    pictures = [
        *steady([(12, RED)], 10),
        *((12 + t, p) for t, p in fade),
        *((14 + t, p) for t, p in steady([(25, BLUE)], 10)),
    ]
    found = spans(cut(film(tmp_path / "a.mp4", pictures, every=50, options=FAST), SEES, ShotsModality))
    assert found[0] == (0, pytest.approx(12.5, abs=0.6))
    assert found[-1] == (pytest.approx(14, abs=1.6), pytest.approx(39, abs=0.1))
    assert len(found) <= 3


def test_gaps_that_were_decoded_are_told_of(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steady([(6, RED), (6, BLUE)], 10), every=1_000, options={"sc_threshold": "0"})
    with pytest.warns(MediaNote, match="100% of it lies between key frames more than 4 s apart and was decoded whole"):
        assert spans(cut(path, SEES)) == [pytest.approx(span, abs=0.1) for span in ((0, 6), (6, 12))]
    cut(path, SEES, ShotsModality)  # where every frame is decoded that is nothing to tell


def test_a_segment_has_a_thumbnail_and_tells_of_its_file(tmp_path: Path) -> None:
    tags = {
        "creation_time": "2021-05-03T19:30:00Z",
        "com.apple.quicktime.creationdate": "2021-05-03T21:30:00+0200",
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 12",
        "com.apple.quicktime.location.ISO6709": "+48.8577+002.2950+035.000/",
    }
    pictures = steady([(2, plain((200, 20, 20), (640, 360))), (2, plain((20, 20, 200), (640, 360)))], 5)
    path = film(
        tmp_path / "a.mov", pictures, every=5, rotation=90, metadata=tags, muxer={"movflags": "use_metadata_tags"}
    )
    (first, picture), (last, _) = cut(path, Needs(pixels=32, square=True))
    assert isinstance(picture, Picture)
    assert picture.pixels.shape == (32, 32, 3)
    for segment in (first, last):
        thumbnail = Image.open(io.BytesIO(segment.thumbnail))
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (180, 320))
        assert len(segment.thumbnail) < 5_000
    assert first.metadata == {
        "width": 360,
        "height": 640,
        "taken": "2021-05-03T21:30:00+02:00",
        "camera": "Apple iPhone 12",
        "latitude": 48.8577,
        "longitude": 2.295,
    }
    assert last.metadata == {"duration": pytest.approx(4, abs=0.2)}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"creation_time": "2017-09-26T16:57:49.000000Z"}, {"taken": "2017-09-26T16:57:49+00:00"}),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, {}),
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, {}),
        ({"creation_time": "yesterday"}, {}),
        ({"creation_time": "9999-01-01T00:00:00Z"}, {}),
        ({"com.apple.quicktime.creationdate": "1904-01-01", "creation_time": "2020-02-02T00:00:00Z"},
         {"taken": "2020-02-02T00:00:00+00:00"}),
        ({"location": "+4851.46+00217.70/"}, {"latitude": 48.8576667, "longitude": 2.295}),
        ({"location": "-335155-0702356/"}, {"latitude": -33.8652778, "longitude": -70.3988889}),
        ({"location": "+95+000/"}, {}),
        ({"location": "here"}, {}),
        ({"model": "Canon EOS", "make": "canon"}, {"camera": "Canon EOS"}),
        ({"make": "x" * 900, "model": "\x00y\n"}, {"camera": "x" * 200 + " y"}),
        ({"make": "", "encoder": "Lavf"}, {}),
    ],
)  # fmt: skip
def test_what_a_file_says_is_believed_if_it_makes_sense(tags: dict[str, str], expected: dict[str, object]) -> None:
    assert described(tags) == expected


@pytest.mark.parametrize("way", WAYS)
def test_sound_is_cut_as_that_of_a_recording(tmp_path: Path, way: type[VideoModality]) -> None:
    path = talking(tmp_path / "a.mp4")
    pieces = cut(path, ALL, way)
    assert spans(pieces) == [(0, pytest.approx(4))]
    with open_source(path, "key", Limits()) as source:
        expected = [piece for piece in AudioModality(Limits()).segments(source, ALL) if piece]
    heard = [(segment, content) for segment, content in pieces if segment.channel != "visual"]
    assert [(s.start, s.end) for s, _ in heard] == [(s.start, s.end) for s, _ in expected]
    assert {segment.modality for segment, _ in heard} == {"video"}
    assert spans(cut(path, HEARS, way), "sound") == spans(expected, "sound")


def test_a_silent_film_is_no_problem(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steady([(2, RED)]), options=FAST)
    assert spans(cut(path, ALL)) == [(0, pytest.approx(2))]
    with pytest.raises(UnsupportedMedia, match="it has no sound"):
        cut(path, HEARS)


def test_a_recording_in_a_container_of_videos_is_heard(tmp_path: Path) -> None:
    pieces = cut(write(tmp_path / "a.mp4", tone(3, 48_000)), ALL)
    assert spans(pieces) == []
    assert spans(pieces, "sound")[0] == (0, 2)


def test_subtitles_in_the_file_or_beside_it_are_what_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", tone(3, 48_000), pictures=True, subtitles=[(1, 2, "<i>Words</i> inside")])
    for expected in ("Words inside", "Words of a file."):
        pieces = cut(path, ALL)
        ((segment, content),) = [(s, c) for s, c in pieces if s.channel == "speech"]
        assert (segment.modality, content) == ("video", Text(expected))
        assert spans(pieces)
        assert spans(pieces, "sound")
        path.with_suffix(".srt").write_text(SRT)


def test_subtitles_of_a_silent_film_are_taken(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steady([(2, RED)]), options=FAST)
    path.with_suffix(".srt").write_text(SRT)
    with pytest.warns(MediaNote, match="it has no sound; its transcript is taken"):
        assert spans(cut(path, ALL), "speech") == [(0.5, 1.5)]


@pytest.mark.parametrize("transcript", [False, True])
def test_pictures_are_kept_when_the_sound_is_damaged(tmp_path: Path, *, transcript: bool) -> None:
    path = remuxed(talking(tmp_path / "a.mp4"), tmp_path / "b.mp4", "audio")
    if transcript:
        path.with_suffix(".srt").write_text(SRT)
    with pytest.warns(MissingPart, match="its sound is missing: no sound can be decoded from it") as notes:
        pieces = cut(path, ALL)
    assert spans(pieces) == [(0, pytest.approx(4))]
    (note,) = [note.message for note in notes if isinstance(note.message, MissingPart)]
    assert note.channels == (("sound",) if transcript else ("sound", "speech"))
    assert spans(pieces, "speech") == ([(0.5, 1.5)] if transcript else [])


@pytest.mark.parametrize("way", WAYS)
def test_sound_is_kept_when_the_pictures_are_damaged(tmp_path: Path, way: type[VideoModality]) -> None:
    path = remuxed(talking(tmp_path / "a.mp4"), tmp_path / "b.mp4", "video")
    with pytest.warns(MissingPart, match="its pictures are missing: no picture can be decoded") as notes:
        pieces = cut(path, ALL, way)
    assert spans(pieces) == []
    assert spans(pieces, "sound")[0] == (0, 2)
    (note,) = [note.message for note in notes if isinstance(note.message, MissingPart)]
    assert note.channels == ("visual",)


def test_of_nothing_good_nothing_is_taken(tmp_path: Path) -> None:
    half = remuxed(talking(tmp_path / "a.mp4"), tmp_path / "b.mp4", "video")
    with pytest.raises(DamagedMedia):
        cut(remuxed(half, tmp_path / "c.mp4", "audio"), ALL)
    half.write_bytes(half.read_bytes()[:2_000])
    with pytest.raises(DamagedMedia, match="damaged or cut short"):
        cut(half, ALL)


def test_pictures_beyond_the_limit_cost_the_file(tmp_path: Path) -> None:
    limits = Limits(pixels=100)
    with open_source(talking(tmp_path / "a.mp4"), "key", limits) as source, pytest.raises(MediaTooLarge):
        list(VideoModality(limits).segments(source, ALL))


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile /etc/passwd\n",
    ],
)
def test_a_playlist_is_no_video_whatever_its_name_says(tmp_path: Path, playlist: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_text(playlist)
    with pytest.raises(UnsupportedMedia):
        cut(path, ALL)


@pytest.mark.parametrize("way", [VideoModality, pytest.param(ShotsModality, marks=pytest.mark.slow)])
def test_there_are_signs_of_life_and_little_is_held(tmp_path: Path, way: type[VideoModality]) -> None:
    resource = pytest.importorskip("resource")
    picture = textured(size=(320, 240))
    # Ten minutes; each of the 6,000 pictures is 230 kB.
    path = film(tmp_path / "a.mp4", steady([(600, picture)], 10), every=20, options=FAST)
    warm = film(tmp_path / "b.mp4", steady([(20, picture)], 10), every=20, options=FAST)
    cut(warm, SEES, way)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_source(path, "key", Limits()) as source:
        pieces = list(way(Limits()).segments(source, SEES))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB
    assert sum(piece is not None for piece in pieces) == 10  # one a minute, though nothing changes
    assert 250 <= pieces.count(None) <= 650


@pytest.mark.parametrize("way", WAYS)
def test_without_opencv_it_says_what_to_install(
    tmp_path: Path, way: type[VideoModality], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = talking(tmp_path / "a.mp4")
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingExtra, match=r'pip install "seehear\[video\]"'):
        cut(path, ALL, way)
    assert spans(cut(path, HEARS, way), "sound")


def test_the_settings_of_the_two_ways_differ() -> None:
    assert VideoModality.settings != ShotsModality.settings
    assert str(NEW) in VideoModality.settings
    assert str(NEW) in ShotsModality.settings
