"""What was written down is not heard again, whoever was killed in between; and it goes when its file goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from spoken import spoken

from seehear import Library, ModelSet
from seehear.database import Database
from seehear.kept import Transcripts, stretch_name
from seehear.testing import COLOUR, LoudnessTranscriber
from seehear.types import Passage, Route, Waveform, Word

OpenLibrary = Callable[..., Library]
WORDS = frozenset({"text"})
SET = ModelSet("speaking", (Route("speech", COLOUR, WORDS),), ("audio",))  # type: ignore[arg-type]


class Interrupted(LoudnessTranscriber):
    """Is stopped after the first stretch, as a killed process is."""

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        if self.transcribed:
            raise KeyboardInterrupt
        return super().transcribe(waveform, language)


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """A minute of speech, so that it is cut into several stretches."""
    from recordings import write

    said = spoken("The train to the airport leaves in the morning. " * 20)
    return write(tmp_path / "talk.wav", said.samples, rate=said.rate)


def test_a_talk_that_was_interrupted_is_heard_on_from_there(open_library: OpenLibrary, talk: Path) -> None:
    first, second = Interrupted(), LoudnessTranscriber()
    with open_library(models=SET, transcriber=first) as library, pytest.raises(KeyboardInterrupt):
        library.add(talk)
    with open_library(models=SET, transcriber=second) as library:
        assert library.add(talk).added == [str(talk)]
        stretches = len(library._parts.ledger.segments(library.info()["sources"][0]))
    assert len(first.transcribed) == 1
    assert len(second.transcribed) == stretches - 1 > 0


def transcripts(library: Library) -> int:
    ((count,),) = library._parts.ledger.file.all("SELECT count(*) FROM transcripts")
    return int(str(count))


def test_transcripts_go_with_their_file(open_library: OpenLibrary, talk: Path) -> None:
    with open_library(models=SET, transcriber=LoudnessTranscriber()) as library:
        library.add(talk)
        assert transcripts(library) > 1
        library.remove(talk)
        assert transcripts(library) == 0


def test_what_is_kept_comes_back_as_it_was() -> None:
    kept = Transcripts(Database(Path(":memory:")))
    said = [
        Passage(0.5, 1.5, "As it was.", (Word("As", 0.5, 0.7), Word("it", 0.7, 0.9)), "en"),
        Passage(2.0, 3.0, "So"),
    ]
    kept.put("bytes", "stretch", said)
    assert kept.get("bytes", "stretch") == said
    assert kept.get("bytes", "another") is None
    kept.put("bytes", "silence", [])
    assert kept.get("bytes", "silence") == []
    kept.tidy()
    assert kept.get("bytes", "stretch") is None


def test_another_listener_language_or_sound_is_another_stretch() -> None:
    import numpy as np

    sound = Waveform(np.zeros(100, np.float32), 16_000)
    other = LoudnessTranscriber()
    other.fingerprint = {"weights": "others"}
    names = {
        stretch_name(LoudnessTranscriber(), None, sound),
        stretch_name(LoudnessTranscriber(), "en", sound),
        stretch_name(other, None, sound),
        stretch_name(LoudnessTranscriber(), None, Waveform(np.ones(100, np.float32), 16_000)),
    }
    assert len(names) == 4
    assert stretch_name(LoudnessTranscriber(), "en", sound) in names
