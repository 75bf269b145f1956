"""What is said in files and in questions, through the library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from recordings import tone, write
from spoken import spoken

from seehear import Library, ModelSet, Query
from seehear.errors import InputError, MissingExtra, QueryError
from seehear.testing import COLOUR, LoudnessTranscriber
from seehear.types import Passage, Route, Waveform

BOTH = frozenset({"text", "audio"})
SET = ModelSet("said", (Route("sound", COLOUR, BOTH), Route("speech", COLOUR, BOTH)), ("audio",))
OpenLibrary = Callable[..., Library]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    said = spoken("The train to the airport leaves in the morning.")
    return write(tmp_path_factory.mktemp("talk") / "talk.wav", said.samples, rate=said.rate)


@pytest.fixture
def writer() -> LoudnessTranscriber:
    return LoudnessTranscriber()


@pytest.fixture
def library(open_library: OpenLibrary, writer: LoudnessTranscriber) -> Library:
    return open_library(models=SET, transcriber=writer)


def test_what_is_said_is_found_with_its_time_and_language(
    library: Library, writer: LoudnessTranscriber, talk: Path
) -> None:
    assert library.add(talk).added == [str(talk)]
    (stretch,) = writer.transcribed
    assert stretch.rate == 16_000
    hit = library.retrieve("as loud", channels={"speech"}, min_score=0)[0]
    assert hit.text.startswith("as loud as")
    assert hit.start is not None
    assert 0 <= hit.start < (hit.end or 0) <= 5
    assert hit.metadata["language"] == "en"
    assert hit.place == "0:00 to 0:02" or hit.place.startswith("0:00 to")


def test_the_same_bytes_under_two_names_are_written_down_once(
    library: Library, writer: LoudnessTranscriber, talk: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.wav"
    copy.write_bytes(talk.read_bytes())
    library.add([talk, copy])
    assert len(writer.transcribed) == 1
    found = library.retrieve("as loud", channels={"speech"}, min_score=0)
    assert {hit.source for hit in found} == {str(talk), str(copy)}
    assert len({hit.text for hit in found}) == 1


def test_a_transcript_beside_the_file_is_taken_instead_and_a_new_one_is_noticed(
    library: Library, writer: LoudnessTranscriber, talk: Path, tmp_path: Path
) -> None:
    path = tmp_path / "there" / "talk.wav"
    path.parent.mkdir()
    path.write_bytes(talk.read_bytes())
    beside = path.with_suffix(".srt")
    beside.write_text("1\n00:00:00,500 --> 00:00:02,000\nAs it was written.\n")
    library.add(path)
    assert writer.transcribed == []
    assert library.retrieve("written", channels={"speech"}, min_score=0)[0].text == "As it was written."
    beside.write_text("1\n00:00:00,500 --> 00:00:02,000\nAs it was mended.\n")
    assert library.add(path).changed == [str(path)]
    assert library.retrieve("mended", channels={"speech"}, min_score=0)[0].text == "As it was mended."


def test_a_stretch_that_cannot_be_written_down_leaves_the_sound(open_library: OpenLibrary, talk: Path) -> None:
    class Broken(LoudnessTranscriber):
        def transcribe(self, waveform: Waveform, language: str | None = None) -> list[object]:  # type: ignore[override]
            raise RuntimeError("no idea")

    library = open_library(models=SET, transcriber=Broken())
    (problem,) = library.add(talk).partial
    assert "could not be transcribed" in problem.reason
    assert {hit.evidence[0].channel for hit in library.retrieve("red", min_score=0)} == {"sound"}


def test_a_language_that_the_transcriber_lacks_is_refused(library: Library, talk: Path) -> None:
    with pytest.raises(
        InputError, match=r"loudness understands en, not 'de'\. Name another transcriber, such as faster"
    ):
        library.add(talk, language="de")


@pytest.mark.parametrize("language", ["English", "en-US", "", "e", "deutsch"])
@pytest.mark.parametrize("known", [frozenset({"en"}), None])
def test_what_is_no_code_of_a_language_is_told_so(
    library: Library, writer: LoudnessTranscriber, talk: Path, language: str, known: frozenset[str] | None
) -> None:
    writer.languages = known
    with pytest.raises(InputError, match=r"languages are given as ISO 639-1 codes, such as en\."):
        library.add(talk, language=language)


def test_a_language_may_be_written_in_capitals(library: Library, writer: LoudnessTranscriber, talk: Path) -> None:
    writer.languages = None
    library.add(talk, language="DE")
    (hit,) = library.retrieve("as loud", channels={"speech"}, min_score=0)
    assert hit.metadata["language"] == "de"


def test_a_spoken_question_is_written_down_and_shown(library: Library, talk: Path) -> None:
    library.add(talk)
    hits = library.retrieve(Query(voice=talk), min_score=0)
    assert hits.heard is not None
    assert hits.heard.startswith("as loud as")
    assert hits[0].text == hits.heard


class Impatient(LoudnessTranscriber):
    """Takes what a transcriber has to take, and no more."""

    def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
        if waveform.seconds > 30 or waveform.rate != 16_000:
            raise InputError("That is too much.")
        return super().transcribe(waveform, language)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("seconds", [0.1, 31, 100])
def test_a_spoken_waveform_may_be_of_any_length(open_library: OpenLibrary, seconds: float, rate: int) -> None:
    writer = Impatient()
    library = open_library(models=SET, transcriber=writer)
    sound = tone(seconds, rate)
    pauses = [(at, at + 0.4) for at in (20, 45, 65, 85)]
    for begin, end in pauses:
        sound[int(begin * rate) : int(end * rate)] = 0
    hits = library.retrieve(Query(voice=Waveform(sound, rate)))
    assert hits.heard == " ".join(["as loud as 50"] * len(writer.transcribed))
    assert sum(piece.seconds for piece in writer.transcribed) == pytest.approx(seconds, abs=0.01)
    ends = np.cumsum([piece.seconds for piece in writer.transcribed])[:-1]
    assert len(ends) == {0.1: 0, 31: 1, 100: 4}[seconds]
    for end, (begin, close) in zip(ends, pauses, strict=False):
        assert begin < end < close


def test_what_a_transcriber_makes_of_a_question_is_an_error_of_the_question(open_library: OpenLibrary) -> None:
    class Refusing(LoudnessTranscriber):
        def transcribe(self, waveform: Waveform, language: str | None = None) -> list[Passage]:
            raise InputError("Not today.")

    library = open_library(models=SET, transcriber=Refusing())
    with pytest.raises(QueryError, match="Not today"):
        library.retrieve(Query(voice=Waveform(tone(1, 16_000), 16_000)))


@pytest.mark.parametrize("field", ["voice", "audio"])
def test_a_question_without_a_sound_says_why(library: Library, tmp_path: Path, field: str) -> None:
    quiet = write(tmp_path / "quiet.wav", 0 * tone(2, 16_000), rate=16_000)
    with pytest.raises(QueryError, match=r"quiet\.wav cannot be the question: nothing is"):
        library.retrieve(Query(**{field: quiet}))
    with pytest.raises(QueryError, match="is a URL"):
        library.retrieve(Query(**{field: "https://example.org/a.wav"}))
    with pytest.raises(QueryError, match="the bytes of a file, or a Waveform"):
        library.retrieve(Query(**{field: 7}))


def test_a_library_without_a_transcriber_takes_no_spoken_question(open_library: OpenLibrary, talk: Path) -> None:
    library = open_library(models=SET)
    assert library.add(talk).added
    with pytest.raises(QueryError, match="write down no speech"):
        library.retrieve(Query(voice=talk))
    with pytest.raises(InputError, match="write down no speech"):
        library.add(talk, language="en")


def test_a_sound_finds_itself(library: Library, tmp_path: Path) -> None:
    for name, level in (("low", 0.05), ("high", 0.8)):
        write(tmp_path / f"{name}.wav", level * tone(2, 16_000), rate=16_000)
        library.add(tmp_path / f"{name}.wav")
    for name in ("low", "high"):
        hits = library.retrieve(Query(audio=tmp_path / f"{name}.wav"), channels={"sound"}, min_score=0)
        assert Path(hits[0].source).stem == name


def test_a_recogniser_that_is_missing_costs_the_speech_and_nothing_else(
    open_library: OpenLibrary, talk: Path, tmp_path: Path
) -> None:
    class Missing(LoudnessTranscriber):
        def transcribe(self, waveform: Waveform, language: str | None = None) -> list[object]:  # type: ignore[override]
            self.transcribed.append(waveform)
            raise MissingExtra('pip install "seehear[whisper]"')

    other = write(tmp_path / "other.wav", spoken("Another sentence is said here.").samples, rate=16_000)
    writer = Missing()
    library = open_library(models=SET, transcriber=writer)
    report = library.add([talk, other])
    assert [problem.path for problem in report.partial] == [str(talk), str(other)]
    assert all("could not be transcribed: pip install" in problem.reason for problem in report.partial)
    assert len(writer.transcribed) == 1  # what is missing once is not asked again
    assert {hit.evidence[0].channel for hit in library.retrieve("red", min_score=0)} == {"sound"}
