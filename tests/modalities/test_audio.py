"""Recordings as segments: what is heard, what is said, and when."""

from __future__ import annotations

import time
import wave
from pathlib import Path

import numpy as np
import pytest
from recordings import Sound, tone, write

from seehear.errors import DamagedMedia, MediaNote, UnsupportedMedia
from seehear.media import Limits, open_source
from seehear.modalities.audio import AudioModality, Windows, loudness
from seehear.testing import ModalityContract
from seehear.types import Content, Needs, Segment, Text, Waveform, Word

RATE = 16_000
HEARS = Needs(rate=RATE, window=2.0)
BOTH = Needs(rate=RATE, window=2.0, speech=True)
SAYS = Needs(speech=True)
DATA = Path(__file__).parents[3] / "shared" / "data"
SRT = "1\n00:00:00,500 --> 00:00:01,500\nWords of a file.\n"


def cut(path: Path, needs: Needs) -> list[tuple[Segment, Content]]:
    with open_source(path, "key", Limits()) as source:
        return [piece for piece in AudioModality(Limits()).segments(source, needs) if piece is not None]


def spans(pieces: list[tuple[Segment, Content]], channel: str = "sound") -> list[tuple[float | None, float | None]]:
    return [(segment.start, segment.end) for segment, _ in pieces if segment.channel == channel]


class TestAudioModality(ModalityContract):
    @pytest.fixture
    def modality(self) -> AudioModality:
        return AudioModality(Limits())

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return write(tmp_path / "a.flac", tone(7, RATE), rate=RATE)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.01, [(0, 0.01)]),
        (1.5, [(0, 1.5)]),
        (2, [(0, 2)]),
        (3, [(0, 2), (1, 3)]),
        (4.5, [(0, 2), (1, 3), (2, 4), (2.5, 4.5)]),
    ],
)
def test_windows_overlap_by_half_and_the_last_one_ends_with_the_file(
    tmp_path: Path, seconds: float, expected: list[tuple[float, float]]
) -> None:
    samples = tone(seconds, RATE)
    pieces = cut(write(tmp_path / "a.wav", samples), HEARS)
    np.testing.assert_allclose(spans(pieces), expected)
    for (start, end), (_, content) in zip(expected, pieces, strict=True):
        assert isinstance(content, Waveform)
        assert content.rate == RATE
        expected_samples = samples[round(start * RATE) : round(end * RATE)]
        np.testing.assert_allclose(content.samples, expected_samples, atol=1e-4)


def test_windows_come_at_the_rate_that_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(3, RATE))
    for _, content in cut(path, Needs(rate=48_000, window=2.0)):
        assert isinstance(content, Waveform)
        assert (content.rate, len(content.samples)) == (48_000, 96_000)


def test_windows_do_not_depend_on_how_the_stream_comes() -> None:
    samples = tone(11.3, 1_000)
    found = []
    for size in (1, 700, 1_000, 50_000):
        windows = Windows(5.0, 1_000, 2.0)
        made = [pair for place in range(0, len(samples), size) for pair in windows.feed(samples[place : place + size])]
        found.append([(start, sound.samples.tobytes()) for start, sound in [*made, *windows.finish()]])
    assert all(each == found[0] for each in found)
    assert [start for start, _ in found[0]] == [*np.arange(5.0, 15.0), pytest.approx(14.3)]


def test_silent_windows_are_left_out(tmp_path: Path) -> None:
    samples = np.concatenate([np.zeros(6 * RATE), tone(1, RATE), np.zeros(6 * RATE)]).astype(np.float32)
    assert spans(cut(write(tmp_path / "a.wav", samples), HEARS)) == [(5, 7), (6, 8)]


def test_a_short_sound_in_silence_is_loud_enough() -> None:
    assert loudness(np.zeros(RATE, np.float32), RATE) == 0
    quiet = np.full(RATE, 0.0005, np.float32)
    assert loudness(quiet, RATE) == pytest.approx(0.0005, rel=1e-3)
    quiet[8_000:8_160] = 0.5  # ten milliseconds
    assert loudness(quiet, RATE) > 0.1


def test_a_file_of_silence_has_nothing_in_it_and_says_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros(3 * RATE, np.float32))
    with pytest.warns(MediaNote, match="nothing is heard in it"):
        assert cut(path, BOTH) == []


def test_of_a_video_the_sound_is_heard(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", tone(3, 48_000), pictures=True)
    assert spans(cut(path, HEARS))[0] == (0, 2)


def test_a_video_without_sound_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMedia, match="no sound"):
        cut(write(tmp_path / "a.mp4", pictures=True), BOTH)


def test_a_truncated_m4a_is_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a", tone(3, 44_100))
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DamagedMedia):
        cut(path, BOTH)


def test_a_transcript_beside_the_file_is_taken_instead_of_recognising(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(3, RATE))
    path.with_suffix(".srt").write_text(SRT)
    pieces = cut(path, BOTH)
    (said,) = [(segment, content) for segment, content in pieces if segment.channel == "speech"]
    assert (said[0].start, said[0].end, said[0].text, said[1]) == (
        0.5,
        1.5,
        SRT.split("\n")[2],
        Text("Words of a file."),
    )
    assert spans(pieces) == [(0, 2), (1, 3)]
    assert spans(cut(path, HEARS), "speech") == []


def test_words_of_whisper_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(1, RATE))
    path.with_suffix(".json").write_text(
        '{"segments": [{"start": 0, "end": 1, "text": "Hi.", "words": [{"word": " Hi.", "start": 0.2, "end": 0.9}]}]}'
    )
    ((segment, content),) = cut(path, SAYS)
    assert (segment.words, content) == ((Word("Hi.", 0.2, 0.9),), Text("Hi."))


@pytest.mark.parametrize("suffix", ["mp4", "mka"])
def test_embedded_subtitles_are_taken_unless_there_is_a_file_beside(tmp_path: Path, suffix: str) -> None:
    rate = 48_000 if suffix == "mp4" else 44_100
    path = write(tmp_path / f"a.{suffix}", tone(3, rate), subtitles=[(1, 2, "<i>Words</i> inside")])
    ((segment, content),) = cut(path, SAYS)
    assert (segment.start, segment.end, content) == (1, 2, Text("Words inside"))
    path.with_suffix(".srt").write_text(SRT)
    ((segment, content),) = cut(path, SAYS)
    assert content == Text("Words of a file.")


def test_a_video_without_sound_still_has_its_transcript(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", pictures=True)
    path.with_suffix(".srt").write_text(SRT)
    with pytest.warns(MediaNote, match="it has no sound; its transcript is taken"):
        assert spans(cut(path, BOTH), "speech") == [(0.5, 1.5)]


def test_a_transcript_that_says_nothing_is_no_transcript(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", tone(1, RATE))
    path.with_suffix(".srt").write_text("nothing here\n")
    assert spans(cut(path, BOTH)) == [(0, 1)]


@pytest.mark.skipif(not (DATA / "speech").is_dir(), reason="needs ../shared/data/speech")
def test_speech_comes_in_stretches_for_a_transcriber(tmp_path: Path) -> None:
    pieces = cut(DATA / "speech" / "jfk.flac", Needs(rate=48_000, window=10.0, speech=True))
    (said,) = [(segment, content) for segment, content in pieces if segment.channel == "speech"]
    assert isinstance(said[1], Waveform)
    assert said[1].rate == 16_000
    assert said[0].start == pytest.approx(0.2, abs=0.2)
    assert said[0].end == pytest.approx(10.8, abs=0.2)  # the last word ends at 10.4 s
    assert said[1].seconds == pytest.approx((said[0].end or 0) - (said[0].start or 0))
    assert spans(pieces) == [(0, 10), (1, 11)]


def silent(path: Path, hours: float) -> Path:
    """Silence as FLAC, which takes no room."""
    return write(path, np.zeros(int(hours * 3600 * RATE), np.float32), rate=RATE)


def test_an_hour_of_silence_is_soon_read_with_signs_of_life(tmp_path: Path) -> None:
    path, started = silent(tmp_path / "a.flac", 1), time.process_time()
    with open_source(path, "key", Limits()) as source, pytest.warns(MediaNote, match="nothing is heard"):
        pieces = list(AudioModality(Limits()).segments(source, BOTH))
    assert set(pieces) == {None}
    assert 300 <= len(pieces) <= 360
    assert time.process_time() - started < 10


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:  # 20 minutes: 77 MB as float32 at 16 kHz
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        second: Sound = tone(1, RATE)
        for _ in range(1_200):
            file.writeframes((second * 32767).astype("<i2").tobytes())
    cut(write(tmp_path / "warm.wav", tone(30, RATE)), HEARS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_source(path, "key", Limits()) as source:
        count = sum(piece is not None for piece in AudioModality(Limits()).segments(source, HEARS))
    assert count == 1_199
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # kB


@pytest.mark.slow
def test_a_day_of_silence_is_read_in_minutes(tmp_path: Path) -> None:
    path, started = tmp_path / "a.flac", time.process_time()
    silent(path, 24)
    written = time.process_time() - started
    with open_source(path, "key", Limits()) as source, pytest.warns(MediaNote, match="nothing is heard"):
        pieces = list(AudioModality(Limits()).segments(source, BOTH))
    assert set(pieces) == {None}
    assert time.process_time() - started - written < 120
