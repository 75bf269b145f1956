"""Sound out of every container: when it is, at every rate, and what becomes of what is broken."""

from __future__ import annotations

import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from recordings import FORMATS, Sound, tone, write

from seehear.errors import DamagedMedia, MediaError, MediaNote, MediaTooLarge, UnsupportedMedia
from seehear.media import Limits, open_source
from seehear.timeline import Line
from seehear.track import blocks, resampled, subtitles
from seehear.types import Waveform


def heard(path: Path, *rates: int) -> tuple[float, list[Sound]]:
    """Start in seconds, and the whole sound at each rate; blocks must follow one another without a gap."""
    found: dict[int, list[Sound]] = {rate: [] for rate in rates}
    with open_source(path, "key", Limits()) as source:
        starts: dict[int, float] = {}
        for block in blocks(source, rates, Limits()):
            done = sum(map(len, found[block.rate]))
            begun = starts.setdefault(block.rate, block.start)
            assert block.start == pytest.approx(begun + done / block.rate, abs=1e-9)
            assert block.samples.dtype == np.float32
            assert len(block.samples) <= 2 * block.rate
            found[block.rate].append(block.samples)
    assert len(set(starts.values())) == 1
    return starts[rates[0]], [np.concatenate(found[rate]) for rate in rates]


def pitch(samples: Sound, rate: int) -> float:
    """The strongest frequency, Hz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * rate / len(samples))


def wav(
    path: Path, data: bytes = bytes(8000), *, rate: int = 8000, channels: int = 1, bits: int = 8, kind: int = 1
) -> Path:
    """A WAV file whose header says what it is told to."""
    block = channels * bits // 8
    form = struct.pack("<IHHIIHH", 16, kind, channels, rate, min(rate * block, 2**32 - 1), block % 65536, bits)
    size = struct.pack("<I", 36 + len(data))
    path.write_bytes(b"RIFF" + size + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_container_is_heard_at_two_rates_in_one_pass(tmp_path: Path, suffix: str) -> None:
    rate = FORMATS[suffix][2]
    start, (low, high) = heard(write(tmp_path / f"a.{suffix}", tone(3, rate)), 16_000, 48_000)
    assert start == pytest.approx(0, abs=0.1 if suffix == "wma" else 0)
    assert len(low) / 16_000 == pytest.approx(3, abs=0.05)
    assert len(high) / 48_000 == pytest.approx(len(low) / 16_000, abs=1e-4)
    assert pitch(low[8_000:40_000], 16_000) == pytest.approx(440, abs=1)
    assert pitch(high[24_000:120_000], 48_000) == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean(low[8_000:40_000] ** 2)) == pytest.approx(0.5**0.5 / 2, abs=0.06)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mov", "mp3", "ogg", "m4a"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
def test_a_click_stays_where_it_is(tmp_path: Path, suffix: str, rate: int) -> None:
    own = FORMATS[suffix][2]
    samples = np.zeros(3 * own, np.float32)
    samples[own * 3 // 2 : own * 3 // 2 + own // 500] = 0.9
    _, (found,) = heard(write(tmp_path / f"a.{suffix}", samples), rate)
    assert np.argmax(np.abs(found) > 0.3) / rate == pytest.approx(1.5, abs=0.001)


@pytest.mark.parametrize("pictures", [False, True])
def test_sound_that_starts_late_starts_late(tmp_path: Path, *, pictures: bool) -> None:
    path = write(tmp_path / "a.mka", tone(1, 44_100), starts=[2.5], pictures=pictures)
    start, (found,) = heard(path, 16_000)
    assert start == pytest.approx(2.5, abs=0.03)
    assert len(found) / 16_000 == pytest.approx(1, abs=0.05)


def test_a_gap_is_silence(tmp_path: Path) -> None:
    start, found = heard(write(tmp_path / "a.mka", tone(1, 44_100), starts=[0, 4]), 8_000, 16_000)
    assert start == 0
    for samples, rate in zip(found, (8_000, 16_000), strict=True):
        assert len(samples) / rate == pytest.approx(5, abs=0.08)
        assert np.abs(samples[round(1.1 * rate) : round(3.9 * rate)]).max() < 1e-3
        assert pitch(samples[round(4.2 * rate) : round(4.9 * rate)], rate) == pytest.approx(440, abs=2)


def test_an_absurd_gap_ends_the_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mka", tone(1, 44_100), starts=[0, 90_000])
    with pytest.warns(MediaNote, match=r"its clock jumps at 1\.0 s; what follows is left out"):
        _, (found,) = heard(path, 8_000)
    assert len(found) / 8_000 == pytest.approx(1, abs=0.05)


def line(*stretches: tuple[float | None, Sound]) -> tuple[float, Sound]:
    """Put stretches at 8 kHz on a line, whole; its start, and what is on it."""
    made = Line([8_000], 0.0)
    found = []
    for start, samples in stretches:
        if not made.follows(8_000, start):
            found += [*made.finish(), *made.begin(8_000, start)]
        found += made.append(samples)
    found += made.finish()
    return found[0].start, np.concatenate([block.samples for block in found])


RAMP = np.arange(8_000, dtype=np.float32) / 8_000


def test_an_overlap_is_cut() -> None:
    start, found = line((0.0, RAMP), (0.75, RAMP))
    assert start == 0
    np.testing.assert_allclose(found, np.concatenate([RAMP, RAMP[2_000:]]), atol=1e-6)


def test_what_comes_before_the_start_is_cut() -> None:
    start, found = line((-0.25, RAMP), (0.75, RAMP))
    assert start == 0
    np.testing.assert_allclose(found, np.concatenate([RAMP[2_000:], RAMP]), atol=1e-6)


def test_a_clock_that_was_set_back_is_not_believed() -> None:
    with pytest.warns(MediaNote, match=r"jumps back at 101\.0 s"):
        start, found = line((100.0, RAMP), (3.0, RAMP), (4.0, RAMP), (None, RAMP))
    assert start == 100
    np.testing.assert_allclose(found, np.tile(RAMP, 4), atol=1e-6)


def test_timestamps_that_are_rounded_make_no_gaps() -> None:
    _, found = line((0.0, RAMP), (1.004, RAMP), (1.997, RAMP))
    np.testing.assert_allclose(found, np.tile(RAMP, 3), atol=1e-6)


@pytest.mark.parametrize(("layout", "channels"), [("stereo", 2), ("5.1", 6)])
def test_the_mean_of_the_channels_is_heard(tmp_path: Path, layout: str, channels: int) -> None:
    sound = np.zeros((channels, 44_100), np.float32)
    sound[1] = 0.6
    _, (found,) = heard(write(tmp_path / "a.flac", sound, layout=layout), 44_100)
    assert found[20_000] == pytest.approx(0.6 / channels, abs=0.001)


def test_telephone_sound_of_eight_bits_is_heard(tmp_path: Path) -> None:
    data = (128 + 100 * np.sin(2 * np.pi * 440 * np.arange(8_000) / 8_000)).astype(np.uint8)
    _, (found,) = heard(wav(tmp_path / "a.wav", data.tobytes()), 16_000)
    assert len(found) == 16_000
    assert pitch(found, 16_000) == pytest.approx(440, abs=1)
    assert np.abs(found).max() == pytest.approx(100 / 128, abs=0.03)


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 16, b"\0\x40"),
        (1, 24, b"\0\0\x40"),
        (1, 32, b"\0\0\0\x40"),
        (3, 32, b"\0\0\0\x3f"),
        (3, 64, b"\0" * 6 + b"\xe0\x3f"),
    ],
)
def test_one_half_is_one_half_in_every_width(tmp_path: Path, kind: int, bits: int, data: bytes) -> None:
    _, (found,) = heard(wav(tmp_path / "a.wav", data * 8_000, bits=bits, kind=kind), 8_000)
    np.testing.assert_allclose(found, 0.5, atol=1e-6)


def test_what_is_no_number_is_silence_and_what_is_too_loud_is_cut(tmp_path: Path) -> None:
    data = np.array([np.nan, np.inf, -np.inf, 1e30, -7.0] * 1_000, "<f4")
    _, (found,) = heard(wav(tmp_path / "a.wav", data.tobytes(), bits=32, kind=3), 8_000)
    np.testing.assert_array_equal(found[:5], [0, 0, 0, 1, -1])


def test_ten_milliseconds_are_heard(tmp_path: Path) -> None:
    _, (low, high) = heard(write(tmp_path / "a.wav", tone(0.01, 16_000)), 16_000, 48_000)
    assert (len(low), len(high)) == (160, 480)


@pytest.mark.parametrize(("default", "hz"), [(0, 440), (1, 1_000)])
def test_of_two_tracks_the_default_one_is_heard_and_a_note_says_so(tmp_path: Path, default: int, hz: int) -> None:
    path = write(tmp_path / "a.mp4", tone(2, 48_000), tone(2, 48_000, 1_000), default=default)
    with pytest.warns(MediaNote, match=f"2 tracks of sound; track {default + 1} is heard"):
        _, (found,) = heard(path, 16_000)
    assert pitch(found, 16_000) == pytest.approx(hz, abs=2)


def test_a_video_without_sound_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="it has no sound"):
        heard(write(tmp_path / "a.mp4", pictures=True), 16_000)


def cut(path: Path, share: float = 0.6) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize("suffix", ["m4a", "mp4", "mov"])
def test_a_truncated_m4a_is_damaged(tmp_path: Path, suffix: str) -> None:
    path = cut(write(tmp_path / f"a.{suffix}", tone(3, FORMATS[suffix][2])))
    with pytest.raises(DamagedMedia, match="damaged or cut short"):
        heard(path, 16_000)


@pytest.mark.parametrize("suffix", ["aac", "aiff", "amr", "caf", "flac", "mka", "mp3", "ogg", "wav", "webm"])
def test_of_a_recording_that_is_cut_short_the_rest_is_heard(
    tmp_path: Path, suffix: str, recwarn: pytest.WarningsRecorder
) -> None:
    path = write(tmp_path / f"a.{suffix}", tone(5, FORMATS[suffix][2]))
    heard(path, 16_000)
    assert not recwarn.list  # while it is whole there is nothing to say
    with pytest.warns(MediaNote, match=r"it is cut short after [23]\.\d s"):
        _, (found,) = heard(cut(path), 16_000)
    assert 2 < len(found) / 16_000 < 3.5


def test_a_transcript_beside_a_cut_file_does_not_hide_the_cut(tmp_path: Path) -> None:
    path = cut(write(tmp_path / "a.ogg", tone(5, 48_000)))
    path.with_suffix(".srt").write_bytes(bytes(70_000))
    with pytest.warns(MediaNote, match="cut short"):
        heard(path, 16_000)


@pytest.mark.parametrize(
    ("header", "error"),
    [
        ({"rate": 0}, DamagedMedia),
        ({"rate": 10**9}, MediaTooLarge),
        ({"rate": 3}, DamagedMedia),
        ({"channels": 1_000, "bits": 16}, MediaError),
        ({"channels": 0}, DamagedMedia),
        ({"bits": 33}, MediaError),
        ({"kind": 0x7777}, MediaError),
    ],
)
def test_an_absurd_header_is_refused(tmp_path: Path, header: dict[str, int], error: type[MediaError]) -> None:
    with pytest.raises(error):
        heard(wav(tmp_path / "a.wav", bytes(200_000), **header), 16_000)


@pytest.mark.parametrize(
    "content",
    [
        b"ID3\4\0\0\0\0\0\5" + b"x" * 5_000,
        b"ID3\4\0\xff\x7f\x7f\x7f\x7f" + bytes(5_000),
        b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb\x90\x64" + bytes(413),
        b"OggS" + b"\xff" * 5_000,
        b"\x1aE\xdf\xa3" + b"\xff" * 5_000,
        b"\0\0\0\x18ftypM4A " + b"\xff" * 5_000,
        b"fLaC" + b"\xff" * 5_000,
    ],
)
def test_a_nonsense_header_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    try:
        _, (found,) = heard(path, 16_000)
    except MediaError:
        return
    assert len(found) < 16_000  # FFmpeg makes something of it


@pytest.mark.filterwarnings("ignore::seehear.errors.MediaNote")
@pytest.mark.parametrize("seed", range(64))
def test_a_mutated_recording_is_heard_or_refused_with_a_typed_error(
    tmp_path: Path, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(seed)
    suffix = list(FORMATS)[seed % len(FORMATS)]
    path = write(tmp_path / f"a.{suffix}", tone(0.7, FORMATS[suffix][2]), pictures=seed % 3 == 0 and suffix == "mka")
    content = bytearray(path.read_bytes())
    for place in rng.integers(12, min(len(content), 4_000 if seed % 2 else len(content)), 8):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    try:
        with open_source(path, "key", Limits()) as source:
            subtitles(source, Limits())
            loudest = max(float(np.abs(block.samples).max()) for block in blocks(source, [16_000, 44_100], Limits()))
    except MediaError:
        loudest = 0.0
    assert loudest <= 1
    assert capfd.readouterr().err == ""  # FFmpeg keeps its complaints to itself


@pytest.mark.parametrize("suffix", ["mp4", "mka"])
def test_embedded_subtitles_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, tone(3, FORMATS[suffix][2]), subtitles=[(0.5, 1, "Hello <i>there</i>,"), (1.5, 2.5, "wörld.")])
    with open_source(path, "key", Limits()) as source:
        found = [(cue.start, cue.end, cue.text) for cue in subtitles(source, Limits()) if cue.text]
    assert found == [(0.5, 1.0, "Hello <i>there</i>,"), (1.5, 2.5, "wörld.")]


def test_a_recording_without_subtitles_has_none(tmp_path: Path) -> None:
    with open_source(write(tmp_path / "a.mp4", tone(1, 48_000)), "key", Limits()) as source:
        assert subtitles(source, Limits()) == []


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_a_waveform_is_resampled_whole(rate: int) -> None:
    found = resampled(Waveform(tone(2, 22_050), 22_050), rate)
    assert found.rate == rate
    assert found.samples.dtype == np.float32
    assert len(found.samples) == 2 * rate
    inner = slice(rate // 10, -rate // 10)
    np.testing.assert_allclose(found.samples[inner], tone(2, rate)[inner], atol=2e-3)


def test_a_waveform_of_nothing_stays_nothing() -> None:
    assert len(resampled(Waveform(np.empty(0, np.float32), 8_000), 16_000).samples) == 0


@pytest.mark.slow
def test_three_hours_take_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    program = (
        "import sys, resource\nfrom pathlib import Path\nfrom seehear.media import Limits, open_source\n"
        "from seehear.track import blocks\n"
        "with open_source(Path(sys.argv[1]), 'k', Limits()) as source:\n"
        "    print(sum(len(block.samples) for block in blocks(source, [16000, 48000], Limits())))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for seconds in (60, 3 * 3600):
        path = write(tmp_path / f"{seconds}.flac", np.zeros(seconds * 16_000, np.float32), rate=16_000)
        ran = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
        count, peak = map(int, ran.stdout.split())
        assert count == seconds * 64_000
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 20_000  # kB


def test_too_many_hours_are_refused_from_the_header_or_as_they_are_heard(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", tone(3, 44_100))
    for suffix in ("flac", "wav", "mka", "mp4"):
        path = write(tmp_path / f"a.{suffix}", tone(3, FORMATS[suffix][2]))
        with (
            open_source(path, "key", Limits()) as source,
            pytest.raises(MediaTooLarge, match=r"hours of sound, or has them, .* raise Limits\(duration=...\)"),
        ):
            list(blocks(source, [16_000], Limits(duration=2)))
        with open_source(path, "key", Limits()) as source:
            assert list(blocks(source, [16_000], Limits(duration=4)))


def test_a_day_of_silence_is_refused_before_any_of_it_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.flac", tone(1, 44_100))
    content = bytearray(path.read_bytes())
    samples = 24 * 3600 * 44_100  # 36 bits, which end with byte 25
    content[21] = (content[21] & 0xF0) | samples >> 32
    content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(content)
    monkeypatch.setattr("seehear.track._mono", lambda *_: 1 / 0)
    with open_source(path, "key", Limits()) as source, pytest.raises(MediaTooLarge, match=r"24\.0 hours"):
        list(blocks(source, [16_000], Limits()))


@pytest.mark.parametrize("suffix", ["mka", "mp4"])
def test_too_many_tracks_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        tracks = [container.add_stream("aac", rate=48_000, layout="mono") for _ in range(5)]
        for track in tracks:
            frame = av.AudioFrame.from_ndarray(tone(1, 48_000)[None], "fltp", "mono")
            frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
            container.mux([*track.encode(frame), *track.encode(None)])
    with open_source(path, "key", Limits()) as source:
        with pytest.raises(MediaTooLarge, match="more than 4 tracks"):
            list(blocks(source, [16_000], Limits(streams=4)))
        with pytest.warns(MediaNote, match="5 tracks"):
            assert list(blocks(source, [16_000], Limits(streams=5)))
