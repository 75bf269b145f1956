"""What a question may be made of beside words: sounds as files and as waveforms, and what is refused of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from recordings import tone, write

from seehear import Library, Limits, ModelSet, Query, query, track
from seehear.database import Database
from seehear.decoder import Decoder, Event, Job, Opened, Piece
from seehear.errors import QueryError
from seehear.kept import Transcripts
from seehear.modalities import audio
from seehear.speech import Speech
from seehear.testing import COLOUR, LoudnessTranscriber
from seehear.types import Content, Kind, Route, Waveform

RATE = 16_000
EVERY: frozenset[Kind] = frozenset({"text", "image", "audio"})
SET = ModelSet("heard", (Route("visual", COLOUR, EVERY), Route("sound", COLOUR, EVERY)), ("image", "audio", "text"))
Array = NDArray[np.float32]


@pytest.fixture
def library(open_library: Callable[..., Library], photos: Path, tmp_path: Path) -> Library:
    """Pictures, and two sounds that differ in how loud they are."""
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    for name, level in (("low", 0.05), ("high", 0.8)):
        write(tmp_path / f"{name}.wav", level * tone(2, RATE), rate=RATE)
    assert len(library.add([photos, tmp_path / "low.wav", tmp_path / "high.wav"]).added) == 7
    return library


def nearest(library: Library, asked: Query) -> str:
    hits = library.retrieve(asked, k=1, channels={"sound"}, min_score=0)
    return Path(hits[0].source).stem


def wave(samples: Any = None, rate: Any = RATE) -> Waveform:
    return Waveform(0.8 * tone(1, RATE) if samples is None else np.asarray(samples, np.float32), rate)


def test_bounds_are_those_that_files_have() -> None:
    assert query.RATES == track.RATES
    assert (query.QUIET, query.PART) == (audio.QUIET, audio.PART)


def test_a_waveform_is_a_question_whatever_whole_number_its_rate_is(library: Library) -> None:
    for rate in (RATE, np.int64(RATE), np.uint16(RATE)):
        assert nearest(library, Query(audio=wave(rate=rate))) == "high"


def parts(**fields: Any) -> list[tuple[Content, float]]:
    """What a question without files is made of."""
    return query.parts(Query(**fields), None)  # type: ignore[arg-type]


def asked_with(field: str, sound: Waveform) -> None:
    if field == "voice":
        transcripts = Transcripts(Database(Path(":memory:")))
        query.heard(Query(voice=sound), None, Speech(LoudnessTranscriber(), None, transcripts))  # type: ignore[arg-type]
    else:
        parts(text="red", **{field: sound if field == "audio" else [sound]})


@pytest.mark.parametrize("rate", [10**10, 768_001, 999, 0, -RATE, True, 16_000.0, "16000", None, float("nan")])
@pytest.mark.parametrize("field", ["audio", "voice", "plus"])
def test_a_rate_that_no_sound_has_is_refused(field: str, rate: Any) -> None:
    with pytest.raises(QueryError, match=r"rate of a Waveform is 1,000 to 768,000 samples per second, not"):
        asked_with(field, wave(rate=rate))


def hum(level: float) -> Array:
    """A tone of this RMS."""
    return np.asarray(level * 2**0.5 * 2 * tone(1, RATE), np.float32)


@pytest.mark.parametrize("samples", [np.zeros(48_000), hum(0.0009), np.full(RATE, 1e-30)])
@pytest.mark.parametrize("field", ["audio", "plus", "minus"])
def test_silence_is_no_question(field: str, samples: Array) -> None:
    with pytest.raises(QueryError, match="nothing is heard in it"):
        asked_with(field, wave(samples))


@pytest.mark.parametrize("samples", [hum(0.0012), np.pad(hum(0.0012)[:3300], 40_000), np.full(RATE, 1e30)])
def test_what_is_hardly_heard_or_too_loud_is_one(samples: Array) -> None:
    ((content, weight),) = parts(audio=wave(samples))
    assert isinstance(content, Waveform)
    assert (len(content.samples), weight) == (len(samples), 1)


@pytest.mark.parametrize("field", ["audio", "voice"])
@pytest.mark.parametrize(("samples", "words"), [(np.ones(1), "0.1 s at least"), (np.array([np.nan] * RATE), "finite")])
def test_what_is_no_sound_is_refused(field: str, samples: Array, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        asked_with(field, wave(samples))


def test_files_to_ask_with_may_be_kept_to_some_folders(open_library: Callable[..., Library], photos: Path) -> None:
    library = open_library(limits=Limits(roots=(str(photos / "more"),)))
    library.add(photos)
    assert library.retrieve(Query(image=photos / "more" / "white.png"))
    (photos / "more" / "link.png").symlink_to(photos / "red.png")
    for name in ("red.png", "more/link.png", "more/../red.png"):
        with pytest.raises(QueryError, match="in none of the folders"):
            library.retrieve(Query(image=photos / name))
    with pytest.raises(QueryError, match="cannot be the question"):
        library.retrieve(Query(image=(photos / "red.png").read_bytes()[:20]))
    assert library.retrieve(Query(image=(photos / "red.png").read_bytes()))  # what is given as bytes is in no folder


def test_a_text_is_not_read_to_its_end_to_find_no_picture_in_it(
    library: Library, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(photos)
    (tmp_path / "long.txt").write_text("A kettle stands on the stove. " * 300_000)
    found: list[Opened | Piece] = []
    ask = Decoder.decode

    def watched(self: Decoder, job: Job, seconds: float) -> Iterator[Event]:
        for event in ask(self, job, seconds):
            found.extend([event] if isinstance(event, (Opened, Piece)) else [])
            yield event

    monkeypatch.setattr(Decoder, "decode", watched)
    with pytest.raises(QueryError, match="no picture in it"):
        library.retrieve(Query(image=tmp_path / "long.txt"))
    assert len(found) < 100  # what was on its way


def test_a_file_among_the_parts_is_what_it_is(library: Library, photos: Path, tmp_path: Path) -> None:
    for name in ("low", "high"):
        assert nearest(library, Query(plus=[tmp_path / f"{name}.wav"])) == name
    assert nearest(library, Query(audio=tmp_path / "low.wav", plus=[(tmp_path / "high.wav", 9)])) == "high"
    long = write(tmp_path / "long.wav", 0.8 * tone(90, RATE), rate=RATE)  # many windows, together one part
    assert nearest(library, Query(audio=tmp_path / "low.wav", plus=[(long, 0.1)])) == "low"
    hits = library.retrieve(Query(plus=[photos / "blue.png"]), k=1, channels={"visual"})
    assert Path(hits[0].source).stem == "blue"


def test_a_file_among_the_parts_that_is_neither_says_so(library: Library, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Words.")
    with pytest.raises(
        QueryError, match=r"notes\.txt cannot be the question: there is no picture in it, and nothing is"
    ):
        library.retrieve(Query(plus=[tmp_path / "notes.txt"]))
    with pytest.raises(QueryError, match="it is not there"):
        library.retrieve(Query(minus=[tmp_path / "nowhere.wav"], text="red"))
