"""Pictures out of every container: when each is shown, upright, in right colours; what becomes of what is broken."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import Array, film, plain, remuxed, steady
from PIL import Image
from recordings import tone, write

from seehear import frames
from seehear.errors import DamagedMedia, MediaNote, MediaTooLarge, UnsupportedMedia
from seehear.frames import at, has_pictures, has_sound
from seehear.media import Limits, open_source
from seehear.picture import shrink
from seehear.still import Still
from seehear.types import Needs, Picture

WHOLE = Needs()
FAST = {"preset": "ultrafast"}
CODECS = [
    ("mp4", "libx264", "yuv420p", {"bf": "3", "sc_threshold": "0"}),
    ("mkv", "libx264", "yuv420p", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
    ("avi", "libx264", "yuv420p", {"bf": "2", "sc_threshold": "0"}),
    ("mov", "libx265", "yuv420p10le", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("webm", "libvpx-vp9", "yuv420p", {"cpu-used": "8", "deadline": "realtime"}),
    ("mp4", "libsvtav1", "yuv420p10le", {"preset": "12"}),
    ("avi", "mjpeg", "yuvj420p", {}),
    ("mov", "prores_ks", "yuv422p10le", {}),
    ("wmv", "wmv2", "yuv420p", {}),
]


def pattern(number: int, size: tuple[int, int] = (64, 48)) -> Array:
    """A picture with structure, whose brightest eighth of the width tells its number modulo 8."""
    picture = np.full((size[1], size[0], 3), 60, np.uint8)
    picture[: size[1] // 2] = 40
    width = size[0] // 8
    picture[:, number % 8 * width :][:, :width] = 220
    return picture


def told(picture: Picture) -> int:
    """The number that a pattern tells."""
    columns = picture.pixels.astype(float).mean(axis=(0, 2))
    return int(np.argmax([part.mean() for part in np.array_split(columns, 8)]))


def ticking(seconds: float, rate: float = 8.0, start: float = 0.0) -> list[tuple[float, Array]]:
    return [(start + number / rate, pattern(number)) for number in range(round(seconds * rate))]


def noisy(seconds: float) -> list[tuple[float, Array]]:
    """The same with noise, so that the pictures take more room than the index of a file."""
    rng = np.random.default_rng(4)
    return [(time, picture ^ rng.integers(0, 32, picture.shape, np.uint8)) for time, picture in ticking(seconds)]


def read(path: Path, way: str = "every", limits: Limits | None = None) -> tuple[list[Still], frames.Film]:
    with open_source(path, "key", limits or Limits()) as source, frames.film(source, limits or Limits()) as seen:
        return list(seen.every() if way == "every" else seen.keyframes()), seen


def shown(path: Path, *times: float, needs: Needs = WHOLE) -> list[Picture]:
    with open_source(path, "key", Limits()) as source:
        return at(source, times, needs, Limits())


@pytest.mark.parametrize(("suffix", "codec", "pixels", "options"), CODECS)
def test_every_codec_is_read_in_all_three_ways(
    tmp_path: Path, suffix: str, codec: str, pixels: str, options: dict[str, str]
) -> None:
    path = film(tmp_path / f"a.{suffix}", ticking(6), codec=codec, pixels=pixels, every=16, options=options)
    every, seen = read(path)
    np.testing.assert_allclose([still.time for still in every], np.arange(48) / 8, atol=0.0006)
    assert [told(still.picture(WHOLE)) for still in every] == [number % 8 for number in range(48)]
    assert seen.end == pytest.approx(6, abs=0.13)
    keys, seen = read(path, "keyframes")
    spacing = 0.5 if codec in ("mjpeg", "prores_ks") else 2
    np.testing.assert_allclose([still.time for still in keys], np.arange(0, 6, spacing), atol=0.0006)
    assert [told(still.picture(WHOLE)) for still in keys] == [round(8 * still.time) % 8 for still in keys]
    assert (seen.whole, seen.end) == (0, pytest.approx(6, abs=0.13))
    assert [told(picture) for picture in shown(path, 5.3, 0.14, 2.49, 2.5, 0, 99)] == [2, 1, 3, 4, 0, 7]


def test_a_rate_that_varies_is_followed_to_the_millisecond(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    times = np.cumsum(rng.uniform(0.008, 0.4, 60)).round(3)
    times -= times[0]
    path = film(tmp_path / "a.mp4", [(t, pattern(n)) for n, t in enumerate(times)], options=FAST)
    np.testing.assert_allclose([still.time for still in read(path)[0]], times, atol=0.0005)
    wanted = [*(times + 0.004), *times]
    assert [told(picture) for picture in shown(path, *wanted)] == [number % 8 for number in range(60)] * 2


def test_a_start_that_is_not_zero_is_kept(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", ticking(2, start=7.5), options=FAST)
    every, seen = read(path)
    assert (every[0].time, seen.end) == (pytest.approx(7.5, abs=0.001), pytest.approx(9.5, abs=0.1))
    assert [told(picture) for picture in shown(path, 0, 8.25)] == [0, 6]


def test_a_long_gap_between_key_frames_is_decoded_each_second(tmp_path: Path) -> None:
    # Key frames at 0, 3, 8.5 and 10 s of 12.
    keys = [0, 24, 68, 80]
    pictures = ticking(12)
    path = tmp_path / "a.mp4"
    options = {"preset": "ultrafast", "forced-idr": "1"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 1_000
        for number, (_, picture) in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts = number
            frame.pict_type = av.video.frame.PictureType.I if number in keys else av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found, seen = read(path, "keyframes")
    assert [still.time for still in found] == [0, 3, 4, 5, 6, 7, 8, 8.5, 10]
    assert [told(still.picture(WHOLE)) for still in found] == [round(8 * still.time) % 8 for still in found]
    assert seen.whole == pytest.approx(5.5)
    assert seen.end == pytest.approx(12)


def test_a_video_of_one_key_frame_is_decoded(tmp_path: Path) -> None:
    found, seen = read(film(tmp_path / "a.mp4", ticking(10), options=FAST), "keyframes")
    assert [still.time for still in found] == pytest.approx(range(10))
    assert seen.whole == pytest.approx(10, abs=0.1)
    found, seen = read(film(tmp_path / "b.mp4", ticking(3), options=FAST), "keyframes")
    assert [still.time for still in found] == pytest.approx(range(3))
    assert seen.whole == 0


def test_of_a_long_gap_little_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    add = frames._Held.add

    def spy(self: frames._Held, *args: Any, **options: Any) -> None:
        add(self, *args, **options)
        held.append(len(self.packets))

    monkeypatch.setattr(frames._Held, "add", spy)
    for path in (film(tmp_path / "a.mp4", ticking(30), options=FAST), claiming(tmp_path / "b.mkv", 30, {0, 100})):
        held.clear()
        assert len(read(path, "keyframes")[0]) == 30
        assert max(held) <= 8 * frames.LONGEST + 2


def claiming(path: Path, seconds: float, keys: set[int] | None = None) -> Path:
    """A video whose packets all claim to be key frames, or those of some numbers; the first is, or each third second.

    The codec follows from the suffix: WMV2, whose decoder makes something of any packet, or H.264.
    """
    codec, options = ("wmv2", {}) if path.suffix == ".wmv" else ("libx264", FAST)
    every = 1_000 if keys else 24
    old = film(path.with_name("old" + path.suffix), ticking(seconds), codec=codec, every=every, options=options)
    with av.open(str(old)) as source, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux()):
            if packet.dts is not None:
                packet.is_keyframe, packet.stream = keys is None or number in keys, stream
                new.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "wmv"])
def test_packets_that_only_claim_to_be_key_frames_are_found_out(tmp_path: Path, suffix: str) -> None:
    found, _ = read(claiming(tmp_path / f"a.{suffix}", 9), "keyframes")
    assert [still.time for still in found] == pytest.approx([0, 3, 6])
    assert [told(still.picture(WHOLE)) for still in found] == [0, 0, 0]


def test_few_packets_are_held_however_large_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", ticking(6), every=24, options=FAST)
    monkeypatch.setattr(frames, "HELD", 8 * frames.PACKET)
    found, seen = read(path, "keyframes")
    assert [still.time for still in found] == pytest.approx(range(6))
    assert seen.whole == pytest.approx(6, abs=0.1)
    monkeypatch.setattr(frames, "HELD", 1)
    _, seen = read(film(tmp_path / "a.avi", ticking(6), codec="mjpeg", pixels="yuvj420p"), "keyframes")
    assert seen.whole == 0


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_pictures_stand_upright(tmp_path: Path, rotation: int) -> None:
    cv2 = pytest.importorskip("cv2")
    drawn = pattern(1, (64, 32))
    path = film(tmp_path / "a.mp4", [(0, drawn), (0.1, drawn)], rotation=rotation, options=FAST)
    still = read(path)[0][0]
    expected = np.rot90(drawn, rotation // 90)
    assert still.size == expected.shape[1::-1]
    assert np.abs(still.picture(WHOLE).pixels.astype(int) - expected).mean() < 6
    _, seen = cv2.VideoCapture(str(path)).read()
    assert np.abs(still.picture(WHOLE).pixels.astype(int) - seen[:, :, ::-1]).mean() < 3
    assert still.picture(Needs(pixels=16)).pixels.shape == ((32, 16, 3) if rotation != 180 else (16, 32, 3))


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2), (128, 48)), (Fraction(1, 2), (64, 96))])
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    still = read(film(tmp_path / "a.mp4", ticking(0.5), aspect=aspect, options=FAST))[0][0]
    assert still.size == size
    assert still.picture(WHOLE).pixels.shape[:2] == size[::-1]


def test_what_moves_has_no_comb_when_it_is_interlaced(tmp_path: Path) -> None:
    drawn = np.zeros((96, 128, 3), np.uint8)
    drawn[::2, 30:60] = drawn[1::2, 46:76] = 255  # it moved by 16 pixels from one field to the next
    options = {"x264-params": "tff=1", "crf": "5"}
    still = read(film(tmp_path / "a.mp4", [(n / 25, drawn) for n in range(3)], options=options))[0][1]
    assert still.frame.interlaced_frame
    for pixels in (96, 80, 48):
        lines = still.picture(Needs(pixels=pixels)).pixels[:, :, 1].astype(int)
        assert np.abs(np.diff(lines, axis=0)).max() < 40


STRIPES = [(200, 30, 40), (30, 180, 60), (40, 60, 220), (240, 240, 30), (128, 128, 128), (255, 255, 255), (0, 0, 0)]


def stripes(path: Path, standard: int, span: int, *, tagged: bool, pixels: str, size: tuple[int, int]) -> Path:
    """A video of coloured stripes by a standard (1: BT.709, 5: BT.601), of limited (1) or full (2) range."""
    drawn = np.repeat(np.array(STRIPES, np.uint8)[None], size[0] // 7, axis=1).repeat(size[1], axis=0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "8", **FAST})
        stream.width, stream.height, stream.pix_fmt = size[0] // 7 * 7, size[1], pixels
        context = stream.codec_context
        if tagged:
            context.colorspace, context.color_range = standard, span
        frame = av.VideoFrame.from_ndarray(drawn, "rgb24")
        frame = frame.reformat(format=pixels, dst_colorspace=standard, dst_color_range=span)
        if not tagged:
            frame.colorspace, frame.color_range = 2, 0
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


@pytest.mark.parametrize(
    ("standard", "span", "tagged", "pixels", "size"),
    [
        (1, 1, True, "yuv420p", (280, 240)),
        (5, 1, False, "yuv420p", (280, 240)),
        (1, 1, False, "yuv420p", (840, 720)),
        (5, 1, True, "yuv420p", (840, 720)),
        (5, 2, True, "yuv420p", (280, 240)),
        (1, 2, True, "yuv420p", (280, 240)),
        (1, 1, True, "yuv422p10le", (280, 240)),
        (1, 1, True, "yuv444p", (280, 240)),
    ],
)
def test_colours_are_right(
    tmp_path: Path, standard: int, span: int, tagged: bool, pixels: str, size: tuple[int, int]
) -> None:
    path = stripes(tmp_path / "a.mp4", standard, span, tagged=tagged, pixels=pixels, size=size)
    picture = read(path)[0][0].picture(Needs(pixels=140)).pixels
    centres = [round((stripe + 0.5) * picture.shape[1] / 7) for stripe in range(7)]
    np.testing.assert_allclose(picture[70, centres].astype(int), STRIPES, atol=5)


@pytest.mark.parametrize(("standard", "tagged"), [(1, True), (5, False)])
def test_colours_are_those_of_opencv(tmp_path: Path, standard: int, *, tagged: bool) -> None:
    cv2 = pytest.importorskip("cv2")
    path = stripes(tmp_path / "a.mp4", standard, 1, tagged=tagged, pixels="yuv420p", size=(280, 240))
    _, seen = cv2.VideoCapture(str(path)).read()
    picture = read(path)[0][0].picture(WHOLE).pixels
    np.testing.assert_allclose(picture[100, 20::40].astype(int), seen[100, 20::40, ::-1], atol=3)


@pytest.mark.parametrize("needs", [Needs(pixels=50), Needs(pixels=50, square=True), Needs(pixels=7), Needs(pixels=500)])
@pytest.mark.parametrize("size", [(320, 200), (200, 322), (640, 40)])
def test_pictures_are_shrunk_as_pillow_does_it(tmp_path: Path, needs: Needs, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    drawn = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    still = read(film(tmp_path / "a.mp4", [(0, drawn)], options=FAST))[0][0]
    found = still.picture(needs).pixels
    expected = np.asarray(shrink(Image.fromarray(still.picture(WHOLE).pixels), needs))
    assert found.shape == expected.shape
    one, two = found.astype(float).ravel(), expected.astype(float).ravel()
    assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) > 0.998


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", [(0, plain((200, 10, 10)))])
    for way in ("every", "keyframes"):
        (still,), seen = read(path, way)
        assert (still.time, seen.end) == (0, pytest.approx(0.04, abs=0.04))
    assert len(shown(path, 0, 3)) == 2


def test_the_cover_of_a_recording_is_no_picture_of_a_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        sound, cover = container.add_stream("aac", rate=48_000, layout="mono"), container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(plain((0, 0, 255), (64, 48)), "rgb24").reformat(format="yuvj420p")
        frame.pts = 0
        container.mux([*cover.encode(frame), *cover.encode(None)])
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        noise.sample_rate = 48_000
        container.mux([*sound.encode(noise), *sound.encode(None)])
    with open_source(path, "key", Limits()) as source:
        assert (has_pictures(source, Limits()), has_sound(source, Limits())) == (False, True)
    with pytest.raises(UnsupportedMedia, match="it has no pictures"):
        read(path)


def test_it_is_known_what_a_file_has(tmp_path: Path) -> None:
    for path, expected in (
        (film(tmp_path / "a.mp4", ticking(1)), (True, False)),
        (film(tmp_path / "b.mp4", ticking(1), sound=tone(1, 16_000)), (True, True)),
        (write(tmp_path / "c.mp4", tone(1, 48_000)), (False, True)),
    ):
        with open_source(path, "key", Limits()) as source:
            assert (has_pictures(source, Limits()), has_sound(source, Limits())) == expected


def patched(path: Path, *changes: tuple[bytes, int, bytes]) -> Path:
    """A file with bytes changed so far behind each mark."""
    content = bytearray(path.read_bytes())
    for mark, behind, new in changes:
        place = content.index(mark) + behind
        content[place : place + len(new)] = new
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("side", [12_000, 65_535])
def test_a_picture_that_claims_to_be_gigantic_is_refused(tmp_path: Path, side: int) -> None:
    resource = pytest.importorskip("resource")
    path = film(tmp_path / "a.avi", ticking(1), codec="mjpeg", pixels="yuvj420p")
    claim = struct.pack("<ii", side, side)
    content = path.read_bytes().replace(b"\x08" + struct.pack(">HH", 48, 64), b"\x08" + struct.pack(">HH", side, side))
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DamagedMedia, match="no picture can be decoded"):  # as the decoder is held to the limit
        read(path)
    with pytest.raises(MediaTooLarge if side == 12_000 else DamagedMedia):
        read(patched(path, (b"strf", 12, claim)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # kB


def test_pictures_that_grow_beyond_the_limit_are_not_decoded(tmp_path: Path) -> None:
    small = film(tmp_path / "a.mkv", ticking(1), codec="mjpeg", pixels="yuvj420p")
    large = film(tmp_path / "b.mkv", [(0, pattern(1, (640, 480)))], codec="mjpeg", pixels="yuvj420p")
    with av.open(str(small)) as old, av.open(str(large)) as other, av.open(str(tmp_path / "c.mkv"), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux() if packet.dts is not None]
        gigantic = next(other.demux())
        gigantic.pts = gigantic.dts = 1_000
        for packet in [*packets, gigantic]:
            packet.stream = stream
            new.mux(packet)
    with pytest.warns(MediaNote, match="1 pieces of its pictures are damaged"):
        every, _ = read(tmp_path / "c.mkv", limits=Limits(pixels=64 * 48))
    assert len(every) == 8


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", ticking(1))
    with pytest.raises(MediaTooLarge, match="claims pictures of 64 x 48"):
        read(path, limits=Limits(pixels=64 * 48 - 1))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_too_many_pictures_are_refused_from_the_header_or_as_they_come(tmp_path: Path, suffix: str) -> None:
    path = film(tmp_path / f"a.{suffix}", ticking(2))
    every, _ = read(path)
    assert len(read(path, limits=Limits(frames=len(every)))[0]) == len(every)
    with pytest.raises(MediaTooLarge, match=r"pictures, or has them, .* raise Limits\(frames=...\)"):
        read(path, limits=Limits(frames=len(every) - 1))


def test_a_claim_of_a_million_frames_a_second_does_no_harm(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", ticking(2), codec="mjpeg", pixels="yuvj420p", tick=Fraction(1, 8))
    # Scale and rate of the stream's header, and microseconds a frame of the file's.
    patched(path, (b"vids", 20, struct.pack("<II", 1, 1_000_000)), (b"avih", 8, struct.pack("<I", 1)))
    every, seen = read(path)
    assert 1 <= len(every) <= 16
    assert seen.end < 1
    assert len(read(path, "keyframes")[0]) == 1
    assert len(shown(path, 0, 0.5)) == 2


def test_a_wrong_length_in_the_header_is_not_believed(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", ticking(2), options=FAST)
    patched(path, (b"mdhd", 20, struct.pack(">I", 90_000 * 3_600)), (b"mvhd", 20, struct.pack(">I", 3_600_000)))
    every, seen = read(path)
    assert (len(every), seen.end) == (16, pytest.approx(2, abs=0.1))


def cut(path: Path, share: float = 0.55) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize("way", ["every", "keyframes"])
@pytest.mark.parametrize(
    ("name", "muxer"),
    [("a.mp4", {"movflags": "faststart"}), ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}), ("a.mkv", {})],
)
def test_of_a_video_that_is_cut_short_the_rest_is_seen(
    tmp_path: Path, way: str, name: str, muxer: dict[str, str], recwarn: pytest.WarningsRecorder
) -> None:
    path = film(tmp_path / name, noisy(10), every=16, options=FAST, muxer=muxer)
    read(path, way)
    assert not recwarn.list  # while it is whole there is nothing to say
    with pytest.warns(MediaNote, match=r"cut short after [4567]\.\d s"):
        found, _ = read(cut(path), way)
    assert 4 <= found[-1].time < 7


def test_a_cut_between_two_packets_is_a_cut_too(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", noisy(6), options=FAST, muxer={"movflags": "faststart"})
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux()][30]
    path.write_bytes(path.read_bytes()[:place])
    with pytest.warns(MediaNote, match=r"cut short after 3\.\d s"):
        assert len(read(path)[0]) == 30


@pytest.mark.parametrize("reader", [read, lambda path: shown(path, 1.0)])
def test_a_video_without_its_index_is_damaged(tmp_path: Path, reader: Callable[[Path], object]) -> None:
    path = film(tmp_path / "a.mp4", noisy(2), options=FAST)
    for size in (path.stat().st_size - 400, path.stat().st_size // 2):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(DamagedMedia, match="damaged or cut short"):
            reader(path)


@pytest.mark.parametrize("way", ["every", "keyframes"])
def test_a_video_of_rubbish_is_damaged(tmp_path: Path, way: str) -> None:
    path = remuxed(film(tmp_path / "a.mp4", ticking(2), options=FAST), tmp_path / "b.mp4", "video")
    with pytest.raises(DamagedMedia, match="no picture can be decoded"):
        read(path, way)
    with pytest.raises(DamagedMedia):
        shown(path, 1.0)


def clocked(path: Path, times: list[float]) -> Path:
    """A video whose packets have these times, whatever they were."""
    old = film(path.with_name("old.mkv"), ticking(len(times) / 8), codec="mjpeg", pixels="yuvj420p")
    with av.open(str(old)) as source, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux() if packet.dts is not None]
        for packet, time in zip(packets, times, strict=True):
            packet.pts = packet.dts = None
            packet.time_base = Fraction(1, 1_000)
            packet.pts = packet.dts = round(time * 1_000)
            packet.stream = stream
            out.mux(packet)
    return path


def set_back(path: Path, start: float) -> Path:
    """The same from `start` on with a jump to 100 s, which is then set back to second 1: no muxer would write it."""
    clocked(path, [shift + number / 8 for shift in (start, 100) for number in range(16)])
    content = path.read_bytes()
    mark = b"\xe7\x83" + (100_000).to_bytes(3, "big")  # the time of a cluster
    assert content.count(mark) == 1
    path.write_bytes(content.replace(mark, mark[:2] + (1_000).to_bytes(3, "big")))
    return path


@pytest.mark.parametrize(
    ("start", "note", "count"),
    [
        (0, r"its clock goes back at 1\.9 s; pictures that come too late are passed over", 25),
        (50, r"its clock jumps back at 52\.\d s; what follows is seen as if it did not", 32),
    ],
)
def test_times_never_go_back(tmp_path: Path, start: float, note: str, count: int) -> None:
    with pytest.warns(MediaNote, match=note) as notes:
        every, seen = read(set_back(tmp_path / "a.mkv", start))
    assert len(notes) == 1
    times = [still.time for still in every]
    assert times == sorted(set(times))
    assert (len(times), seen.end > times[-1]) == (count, True)


def test_an_absurd_jump_ends_the_video(tmp_path: Path) -> None:
    path = clocked(tmp_path / "a.mkv", [0, 1, 90_000, 90_001])
    with pytest.warns(MediaNote, match=r"its clock jumps at \d\.\d s; what follows is left out"):
        every, seen = read(path)
    assert [still.time for still in every] == [0, 1]
    assert seen.end < 3


def test_a_picture_is_found_though_seeking_is_no_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "a.mp4", ticking(6), every=16, options=FAST)
    times = [0.3, 2.3, 5.9, 70]
    expected = [told(picture) for picture in shown(path, *times)]
    assert expected == [2, 2, 7, 7]
    monkeypatch.setattr("seehear.packets.Packets.seek", lambda self, time: False)
    assert [told(picture) for picture in shown(path, *times)] == expected
    monkeypatch.undo()
    seek = frames.Packets.seek
    monkeypatch.setattr("seehear.packets.Packets.seek", lambda self, time: seek(self, time + 5))
    assert [told(picture) for picture in shown(path, *times)] == expected


def test_pictures_are_read_lazily(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", steady([(20, plain((9, 90, 9)))], 8), every=8, options=FAST)
    with open_source(path, "key", Limits()) as source, frames.film(source, Limits()) as seen:
        next(iter(seen.keyframes()))
        assert seen.end < 3
