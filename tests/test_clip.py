"""Clips: the right stretch, to the frame and to the sample, of every kind of file; and nothing but whole ones."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import Array, film, plain, remuxed, steady
from recordings import FORMATS, tone, write

from seehear import clip as clips
from seehear.clip import cut
from seehear.encoded import Pictures, Upright
from seehear.errors import DamagedMedia, InputError, MediaError, MediaTooLarge, SeehearError
from seehear.media import Limits, open_source
from seehear.viewing import placed

TRAIN = Path(__file__).parents[2] / "shared" / "data" / "videos" / "pe_train.mp4"
COLOURS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220), "grey": (128, 128, 128)}
WARM = dict(zip(COLOURS, map(plain, COLOURS.values()), strict=True))
FRAME = 0.04


def clip(path: Path, start: float, end: float, out: str = "clip.mp4", limits: Limits | None = None) -> Path:
    place = path.parent / out
    with (
        placed(path, start, end, place) as part,
        part.open("r+b") as file,
        open_source(path, "key", Limits()) as source,
    ):
        cut(source, start, end, file, limits or Limits())
    return place


def seconds(path: Path) -> float:
    """How long a clip is; all that it has must begin at 0 and end then, and no part of it be damaged."""
    with av.open(str(path)) as container:
        assert container.duration is not None
        for stream in container.streams:
            assert stream.start_time == 0
            assert float(stream.duration * stream.time_base) == pytest.approx(container.duration / 1e6, abs=1e-4)
        for frame in container.decode():
            assert not frame.is_corrupt
        return container.duration / av.time_base


def shown(path: Path) -> list[tuple[float, Array]]:
    """Every picture of a clip, RGB, and its time."""
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def colour(picture: Array) -> str:
    """What a picture is in its middle."""
    height, width = picture.shape[:2]
    found = picture[height // 2, width // 2].astype(int)
    return min(COLOURS, key=lambda name: int(np.abs(found - COLOURS[name]).sum()))


def colours(path: Path) -> list[tuple[float, str]]:
    """When which colour begins in a clip."""
    found: list[tuple[float, str]] = []
    for time, picture in shown(path):
        if not found or found[-1][1] != colour(picture):
            found.append((time, colour(picture)))
    return found


def heard(path: Path) -> Array:
    """The sound of a clip, 48 kHz, mono."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler("fltp", "mono", 48_000)
        pieces = [out.to_ndarray()[0] for frame in container.decode(audio=0) for out in resampler.resample(frame)]
    return np.concatenate(pieces)


def begins(sound: Array) -> float:
    """The second at which it is no longer silent."""
    return float(np.argmax(np.abs(sound) > 0.1) / 48_000)


def traffic(path: Path, **settings: Any) -> Path:
    """Red for 2 s, green for 2 s, blue for 2 s; a tone from 2.5 s to 4 s."""
    sound = np.concatenate([np.zeros(40_000, np.float32), tone(1.5, 16_000), np.zeros(32_000, np.float32)])
    shots = [(2.0, WARM["red"]), (2.0, WARM["green"]), (2.0, WARM["blue"])]
    return film(path, steady(shots), **{"sound": sound, **settings})


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov"])
def test_pictures_and_sound_are_where_they_were(tmp_path: Path, suffix: str) -> None:
    path = clip(traffic(tmp_path / f"a.{suffix}", every=40), 1.5, 4.5)
    assert seconds(path) == pytest.approx(3, abs=1e-3)
    assert [name for _, name in colours(path)] == ["red", "green", "blue"]
    assert [time for time, _ in colours(path)] == pytest.approx([0, 0.5, 2.5], abs=FRAME / 2)
    sound = heard(path)
    assert begins(sound) == pytest.approx(1, abs=0.03)
    assert 3 - begins(sound[: 3 * 48_000][::-1]) == pytest.approx(2.5, abs=0.03)


@pytest.mark.parametrize(("start", "end"), [(0.0, 6.0), (0.013, 0.531), (1.99, 2.01), (2.0, 4.0), (3.333, 5.777)])
def test_a_clip_is_as_long_as_it_was_asked_to_be(tmp_path: Path, start: float, end: float) -> None:
    path = clip(traffic(tmp_path / "a.mp4"), start, end)
    assert seconds(path) == pytest.approx(end - start, abs=1e-3)
    first, last = colours(path)[0][1], colours(path)[-1][1]
    assert (first, last) == (list(WARM)[int(start // 2)], list(WARM)[int((end - 0.001) // 2)])


def test_no_picture_of_the_next_shot_flashes_up(tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.mkv", every=10)
    assert [name for _, name in colours(clip(path, 1.9999, 4.0001))] == ["green"]


def uneven(path: Path, **settings: Any) -> Path:
    """Pictures at odd intervals, from 4 ms to 1.5 s: red, from 1 s on green, from 3.3 s on blue, which ends at 5 s."""
    rng = np.random.default_rng(7)
    times = [0.0]
    while times[-1] < 3.2:
        times.append(times[-1] + float(rng.choice([0.004, 0.011, 0.033, 0.12, 0.4])))
    marks = sorted({*(t for t in times if t < 3.2), 1.0, 3.3, 4.8, 4.96})
    names = ["red" if t < 1 else "green" if t < 3.3 else "blue" for t in marks]
    return film(path, ((t, WARM[name]) for t, name in zip(marks, names, strict=True)), **settings)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_variable_rate_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    path = clip(uneven(tmp_path / f"a.{suffix}"), 0.5, 4.0)
    assert seconds(path) == pytest.approx(3.5, abs=1e-3)
    assert [name for _, name in colours(path)] == ["red", "green", "blue"]
    assert [time for time, _ in colours(path)] == pytest.approx([0, 0.5, 2.8], abs=0.001)


def test_a_picture_that_began_before_the_start_is_shown_from_the_start(tmp_path: Path) -> None:
    path = clip(uneven(tmp_path / "a.mp4"), 3.9, 4.2)  # between 3.3 and 4.8 s nothing changes
    assert seconds(path) == pytest.approx(0.3, abs=1e-3)
    assert colours(path) == [(0, "blue")]


def test_pictures_that_reach_back_over_each_other_are_in_order(tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.mp4", every=100, options={"bf": "4", "b-adapt": "0", "x264-params": "open-gop=1"})
    with av.open(str(path)) as container:
        assert any(packet.pts != packet.dts for packet in container.demux(video=0))
    path = clip(path, 1.0, 5.0)
    assert [time for time, _ in colours(path)] == pytest.approx([0, 1, 3], abs=0.001)
    assert len(shown(path)) == 100
    with av.open(str(path)) as container:
        assert all(packet.pts == packet.dts for packet in container.demux(video=0))


@pytest.mark.parametrize(("codec", "options"), [("mpeg4", {"bf": "2"}), ("libx264", {"bf": "3", "b-adapt": "0"})])
def test_avi_which_knows_no_times_is_cut_to_the_frame(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    greys = 40 + np.arange(200) * 29 % 180
    pictures = steady([(FRAME, plain((grey, grey, grey))) for grey in greys])
    path = film(tmp_path / "a.avi", pictures, codec=codec, every=40, options=options, tick=Fraction(1, 25))
    found = shown(clip(path, 4.0, 7.2))
    assert [time for time, _ in found] == pytest.approx([number / 25 for number in range(80)], abs=0.001)
    np.testing.assert_allclose([picture.mean() for _, picture in found], greys[100:180], atol=10)


def test_a_file_that_ends_before_the_end_makes_a_shorter_clip(tmp_path: Path) -> None:
    assert seconds(clip(traffic(tmp_path / "a.mp4"), 5.0, 9.0)) == pytest.approx(1, abs=FRAME)


def test_sound_goes_on_under_the_last_picture(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steady([(1.0, WARM["red"])]), sound=tone(5, 16_000))
    path = clip(path, 3.0, 4.0)
    assert seconds(path) == pytest.approx(1, abs=1e-3)
    assert colours(path) == [(0, "red")]
    assert begins(heard(path)) < 0.03


def test_sound_that_begins_late_and_has_a_gap_is_where_it_was(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mka", tone(1, 44_100), starts=[2.5, 6.0], pictures=True)
    path = clip(path, 0.5, 6.5)
    assert seconds(path) == pytest.approx(6, abs=1e-3)
    sound = heard(path)
    assert begins(sound) == pytest.approx(2, abs=0.03)
    assert begins(sound[round(3.2 * 48_000) :]) == pytest.approx(2.3, abs=0.03)
    assert np.abs(sound[round(3.2 * 48_000) : round(5.4 * 48_000)]).max() < 0.02


@pytest.mark.parametrize("suffix", FORMATS)
def test_of_a_recording_the_sound_alone_is_cut(tmp_path: Path, suffix: str) -> None:
    rate = FORMATS[suffix][2]
    silence = np.zeros(5 * rate, np.float32)
    path = write(tmp_path / f"a.{suffix}", np.concatenate([silence, tone(1, rate), silence]))
    path = clip(path, 4.25, 6.75)
    assert seconds(path) == pytest.approx(2.5, abs=1e-3)
    sound = heard(path)
    late = 0.046 if suffix == "wma" else 0  # as `seehear.track` hears it: the encoder's run-up counts as sound
    assert begins(sound) == pytest.approx(0.75 + late, abs=0.03)
    assert 2.5 - begins(sound[:120_000][::-1]) == pytest.approx(1.75 + late, abs=0.03)
    assert np.sqrt(np.mean(sound[40_000:80_000] ** 2)) == pytest.approx(0.5**0.5 / 2, abs=0.08)


@pytest.mark.parametrize(("layout", "channels", "left"), [("stereo", 2, 2), ("5.1", 6, 2), ("mono", 1, 1)])
def test_two_channels_stay_two_and_more_become_two(tmp_path: Path, layout: str, channels: int, left: int) -> None:
    sound = np.zeros((channels, 44_100), np.float32)
    sound[0] = tone(1, 44_100)
    path = clip(write(tmp_path / "a.flac", sound, layout=layout), 0.2, 0.8)
    with av.open(str(path)) as container:
        found = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert len(found) == left
    assert np.abs(found[0]).max() > 0.2
    assert np.abs(found[1:]).max(initial=0) < 0.05


def corner(size: tuple[int, int]) -> Array:
    """Grey, with a red quarter at the top left and a blue one at the top right."""
    picture = plain(COLOURS["grey"], size)
    picture[: size[1] // 2, : size[0] // 2] = COLOURS["red"]
    picture[: size[1] // 2, -(size[0] // 2) :] = COLOURS["blue"]
    return picture


@pytest.mark.parametrize(
    ("degrees", "mirrored", "size", "corners"),
    [
        (0, False, (64, 48), ["red", "blue", "grey", "grey"]),
        (0, True, (64, 48), ["blue", "red", "grey", "grey"]),
        (90, False, (48, 64), ["blue", "grey", "red", "grey"]),
        (-90, False, (48, 64), ["grey", "red", "grey", "blue"]),
        (180, False, (64, 48), ["grey", "grey", "blue", "red"]),
    ],
)
def test_what_was_filmed_sideways_is_upright(
    tmp_path: Path, *, degrees: int, mirrored: bool, size: tuple[int, int], corners: list[str]
) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.set_display_rotation(degrees, mirrored)
        for _ in range(25):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(corner((64, 48)), "rgb24")))
        container.mux(stream.encode(None))
    path = clip(path, 0.2, 0.8)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).rotation == 0
    for _, picture in shown(path):
        height, width = picture.shape[:2]
        assert (width, height) == size
        quarters = [picture[y : y + 9, x : x + 9] for y in (4, height - 12) for x in (4, width - 12)]
        assert [colour(quarter) for quarter in quarters] == corners


@pytest.mark.parametrize(("size", "codec", "pixels"), [
    ((127, 95), "png", "rgb24"), ((63, 33), "prores_ks", "yuv422p10le"), ((64, 48), "libx264", "yuv420p10le"),
    ((64, 48), "mjpeg", "yuvj420p"), ((1, 1), "png", "gray"),
])  # fmt: skip
def test_odd_sizes_and_ten_bits_become_even_and_eight(
    tmp_path: Path, size: tuple[int, int], codec: str, pixels: str
) -> None:
    shots = [(0.5, plain(COLOURS["grey"], size)), (0.5, plain(COLOURS["grey" if pixels == "gray" else "green"], size))]
    path = clip(film(tmp_path / "a.mov", steady(shots), codec=codec, pixels=pixels), 0.25, 0.75)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height, context.pix_fmt) == (*(s + s % 2 for s in size), "yuv420p")
    assert seconds(path) == pytest.approx(0.5, abs=1e-3)
    wanted = COLOURS["grey" if pixels == "gray" else "green"]
    assert np.abs(shown(path)[-1][1].mean((0, 1)) - wanted).max() < 6
    assert np.abs(shown(path)[0][1].mean((0, 1)) - COLOURS["grey"]).max() < 6


def test_pixels_that_are_not_square_become_square(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steady([(1, WARM["red"])]), options={"x264-params": "sar=2/1"})
    with av.open(str(clip(path, 0, 1))) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height, context.sample_aspect_ratio in (None, 1)) == (256, 96, True)


def test_colours_are_named_as_they_were(tmp_path: Path) -> None:
    named = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"
    path = film(tmp_path / "a.mp4", steady([(1, WARM["red"])]), pixels="yuv420p10le", options={"x264-params": named})
    with av.open(str(clip(path, 0, 1))) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range) == (9, 16, 9, 1)


@pytest.mark.parametrize("matrix", [0, 3, 8, 10, 14, 200])
def test_colours_that_are_named_wrongly_are_no_obstacle(matrix: int) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), "yuv420p")
    frame.pts, frame.colorspace, frame.color_range = 0, matrix, 2
    (found,) = Upright(Fraction(1)).turn(frame)
    assert (found.width, found.height, found.color_range) == (64, 48, 1)


def test_half_pictures_become_whole_ones(tmp_path: Path) -> None:
    """A bar that moves has a comb in every picture; in the clip it has none."""
    pictures = []
    for number in range(25):
        picture = plain((20, 20, 20))
        picture[:, :16] = 235
        picture[0::2] = np.roll(picture[0::2], 16 * number, 1)
        picture[1::2] = np.roll(picture[1::2], 16 * number + 8, 1)
        pictures.append((number / 25, picture))
    path = film(tmp_path / "a.mp4", pictures, options={"x264-params": "interlaced=1:tff=1", "crf": "5"})
    found = shown(clip(path, 0.2, 0.8))
    assert len(found) == 15
    for (_, after), (_, before) in zip(found[2:-2], pictures[7:-7], strict=True):
        comb = [np.abs(np.diff(p[..., 1].astype(int), axis=0)).mean() for p in (after, before)]
        assert comb[0] < comb[1] / 4


@pytest.mark.parametrize("suffix", ["mkv", "asf"])
def test_a_start_that_is_not_zero_counts_as_seehear_counts(tmp_path: Path, suffix: str) -> None:
    """Matroska has a line of time of its own; of the others the first picture or sound is at 0."""
    path = tmp_path / f"a.{suffix}"
    codec = "libx264" if suffix == "mkv" else "msmpeg4"
    shots = [(2.0, WARM["red"]), (2.0, WARM["green"]), (2.0, WARM["blue"])]
    late = 10.0
    film(path, ((late + t, p) for t, p in steady(shots)), codec=codec)
    shift = late if suffix == "mkv" else 0.0
    path = clip(path, shift + 1, shift + 5)
    assert [name for _, name in colours(path)] == ["red", "green", "blue"]
    assert [time for time, _ in colours(path)] == pytest.approx([0, 1, 3], abs=FRAME)


def test_before_the_first_picture_the_first_is_shown(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", ((2 + t, p) for t, p in steady([(2, WARM["green"])])), sound=tone(4, 16_000))
    path = clip(path, 1.0, 3.0)
    assert seconds(path) == pytest.approx(2, abs=1e-3)
    assert colours(path) == [(0, "green")]


@pytest.mark.skipif(not TRAIN.exists(), reason="the real clips of ../shared/data are not here")
def test_a_real_video_is_cut_to_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "train.mp4"
    path.write_bytes(TRAIN.read_bytes())
    whole = shown(path)
    path = clip(path, 3.22, 7.78)
    assert seconds(path) == pytest.approx(4.56, abs=1e-3)
    pictures = shown(path)
    for place in (0, len(pictures) // 2, -1):
        time, picture = pictures[place]
        same = max(t for t, _ in whole if t <= time + 3.22 + 1e-4)
        differs = {t: np.abs(picture.astype(int) - other).mean() for t, other in whole if abs(t - same) < 0.2}
        assert min(differs, key=lambda t: differs[t]) == same
    assert len(heard(path)) / 48_000 == pytest.approx(4.56, abs=0.03)


def test_of_a_long_file_little_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", steady([(300, WARM["red"])], 10), every=20, options={"preset": "ultrafast"})
    decoded = []
    whole = clips._Reading._decoded

    def counted(*args: Any) -> Iterable[Any]:
        for each in whole(*args):
            decoded.append(each)
            yield each

    monkeypatch.setattr(clips._Reading, "_decoded", counted)
    assert seconds(clip(path, 200, 202)) == pytest.approx(2, abs=1e-3)
    assert len(decoded) < 120


def test_where_no_seek_works_the_file_is_read_from_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = traffic(tmp_path / "a.mp4", every=10)
    monkeypatch.setattr(clips, "BEFORE", (-2.0,))  # every seek lands 2 s too late
    path = clip(path, 1.5, 2.5)
    assert [time for time, _ in colours(path)] == pytest.approx([0, 0.5], abs=0.001)


def test_damaged_packets_are_passed_over(tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.mkv", every=5, options={"crf": "10"})
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 400, 7):
        content[place] ^= 0x55
    path.write_bytes(content)
    path = clip(path, 0.5, 5.5)
    assert seconds(path) == pytest.approx(5, abs=0.2)
    assert (colours(path)[0][1], colours(path)[-1][1]) == ("red", "blue")


def test_pictures_that_cannot_be_decoded_leave_the_sound(tmp_path: Path) -> None:
    path = remuxed(traffic(tmp_path / "whole.mp4"), tmp_path / "a.mp4", spoil="video")
    path = clip(path, 2.0, 4.0)
    with av.open(str(path)) as container:
        assert not container.streams.video
    assert begins(heard(path)) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("seed", range(12))
def test_a_mutated_film_is_cut_or_refused_with_a_typed_error(
    tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(seed)
    path = traffic(tmp_path / f"a.{'mp4' if seed % 2 else 'mkv'}", every=20)
    content = bytearray(path.read_bytes())
    for place in rng.integers(12, 3_000 if seed % 3 else len(content), 10):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    try:
        path = clip(path, 1.0, 3.0)
    except MediaError:
        assert [file.name for file in tmp_path.glob("[.a-z]*.*")] == [path.name]
    else:
        assert 0 < seconds(path) <= 2.001
    assert capfd.readouterr().err == ""


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(plain(COLOURS["red"], (64, 48)), "rgb24").reformat(format="yuvj420p")
        packets = [*cover.encode(picture), *cover.encode(None)]
        frame = av.AudioFrame.from_ndarray(tone(2, 48_000)[None], "fltp", "mono")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        container.mux([*packets, *track.encode(frame), *track.encode(None)])
    path = clip(path, 0.5, 1.5)
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]
    assert seconds(path) == pytest.approx(1, abs=1e-3)


def test_a_start_beyond_the_end_says_where_the_end_is(tmp_path: Path) -> None:
    with pytest.raises(DamagedMedia, match=r"nothing is seen or heard in it from 60\.0 s on: it ends at 6\.[01] s"):
        clip(traffic(tmp_path / "a.mp4"), 60, 70)
    assert [file.name for file in tmp_path.glob("[.a-z]*.*")] == ["a.mp4"]


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    with pytest.raises(MediaTooLarge, match="pictures of 128 x 96 pixels, more than the limit of 10,000"):
        clip(traffic(tmp_path / "a.mp4"), 1, 2, limits=Limits(pixels=10_000))


@pytest.mark.parametrize(
    ("start", "end"), [(2, 1), (1, 1), (-1, 1), (float("nan"), 1), (0, float("nan")), (0, float("inf")), (0, 3_601)]
)
def test_a_stretch_that_makes_no_sense_is_refused(tmp_path: Path, start: float, end: float) -> None:
    with pytest.raises(InputError, match="a clip "):
        clip(traffic(tmp_path / "a.mp4"), start, end)


def test_the_clip_must_have_a_place_of_its_own(tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.mp4")
    content = path.read_bytes()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(path)
    for out, reason in [
        ("a.mp4", "is the file that the clip is cut from"),
        ("link.mp4", "is the file that the clip is cut from"),
        ("b.webm", "let 'b.webm' end in .mp4"),
        ("nowhere/b.mp4", "there is no folder"),
        ("folder.mp4", "is a folder"),
    ]:
        with pytest.raises(InputError, match=reason):
            clip(path, 1, 2, out)
    assert path.read_bytes() == content


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_a_write_that_is_interrupted_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    path = traffic(tmp_path / "a.mp4")
    (tmp_path / "clip.mp4").write_bytes(b"what was there")
    calls = []

    def fails(self: Any, frame: av.VideoFrame, time: float, seconds: float) -> None:
        calls.append(time)
        if len(calls) > 40:
            raise error
        add(self, frame, time, seconds)

    add = Pictures.add
    monkeypatch.setattr(Pictures, "add", fails)
    wanted = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else SeehearError
    with pytest.raises(wanted) as raised:
        clip(path, 0, 6)
    if wanted is SeehearError:
        assert str(raised.value) == f"{tmp_path / 'clip.mp4'} cannot be written: No space left on device"
        assert not isinstance(raised.value, MediaError)
    assert sorted(file.name for file in tmp_path.glob("[.a-z]*.*")) == ["a.mp4", "clip.mp4"]
    assert (tmp_path / "clip.mp4").read_bytes() == b"what was there"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="it takes a folder in which not even root may write")
def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(SeehearError, match=r"^/proc/clip\.mp4 cannot be written: "):
        clip(traffic(tmp_path / "a.mp4"), 1, 2, "/proc/clip.mp4")


def test_a_clip_takes_the_place_of_another(tmp_path: Path) -> None:
    path = traffic(tmp_path / "a.mp4")
    clip(path, 0, 1)
    assert colours(clip(path, 4.5, 5)) == [(0, "blue")]
    assert sorted(file.name for file in tmp_path.glob("[.a-z]*.*")) == ["a.mp4", "clip.mp4"]
