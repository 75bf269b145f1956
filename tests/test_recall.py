"""An answer is found again by its id, and by nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import film, plain, steady

from seehear import Library, ModelSet
from seehear.errors import InputError
from seehear.testing import COLOUR, COLOURS, LoudnessTranscriber
from seehear.types import Route

BOTH = frozenset({"text", "image"})
SET = ModelSet(
    "everything",
    (
        Route("visual", COLOUR, BOTH),
        Route("sound", COLOUR, frozenset({"text", "audio"})),
        Route("speech", COLOUR, frozenset({"text"})),
        Route("text", COLOUR, BOTH),
    ),
    ("image", "audio", "video", "text"),
)


@pytest.fixture
def library(open_library: Callable[..., Library], tmp_path: Path, photos: Path) -> Library:
    sound = np.sin(np.arange(8 * 16_000) / 9).astype(np.float32) / 4
    film(tmp_path / "day.mp4", steady([(4, plain(COLOURS["red"])), (4, plain(COLOURS["blue"]))], 12.5), sound=sound)
    (tmp_path / "day.srt").write_text("1\n00:00:04,500 --> 00:00:06,000\nBlue.\n")
    library = open_library(models=SET, transcriber=LoudnessTranscriber())
    assert not library.add([photos, tmp_path / "day.mp4"]).failed
    library.add_texts(["a red door", "a blue door"], [{"year": 2024}, None], ["one", "two"])
    return library


def test_every_hit_is_found_again_by_its_id(library: Library) -> None:
    retriever = library.retriever(min_score=0)
    hits = retriever.retrieve("blue", k=20)
    assert {hit.modality for hit in hits} == {"image", "video", "text"}
    for hit in hits:
        again = retriever.hit(hit.id)
        assert (again.id, again.source, again.modality, again.start, again.end) == (
            hit.id, hit.source, hit.modality, pytest.approx(hit.start), pytest.approx(hit.end),
        )  # fmt: skip
        assert again.metadata == hit.metadata
        assert (again.score, again.evidence[0].rank) == (0.0, 0)
        if hit.modality == "text":
            assert again.text == hit.text


def test_a_recalled_moment_opens_as_it_did(library: Library) -> None:
    retriever = library.retriever(min_score=0)
    hit = retriever.retrieve("blue", k=1, modalities={"video"}, channels={"visual"})[0]
    again = retriever.hit(hit.id)
    assert again.thumbnail
    assert again.text == "Blue."
    assert np.asarray(again.picture().resize((1, 1)))[0, 0] == pytest.approx(COLOURS["blue"], abs=12)
    assert again.transcript() == "0:04 Blue."
    assert again.evidence[0].channel == "visual"


def test_a_name_alone_is_the_whole_file(library: Library) -> None:
    retriever = library.retriever(min_score=0)
    hit = retriever.retrieve("blue", k=1, modalities={"video"})[0]
    whole = retriever.hit(hit.id.partition("#")[0])
    assert (whole.start, whole.end) == (0.0, pytest.approx(8, abs=0.3))


def test_a_place_ends_where_its_file_does(library: Library) -> None:
    retriever = library.retriever(min_score=0)
    name = retriever.retrieve("blue", k=1, modalities={"video"})[0].id.partition("#")[0]
    wide = retriever.hit(f"{name}#t=3.000,900.000")
    assert wide.end == pytest.approx(8, abs=0.3)
    assert wide.id == f"{name}#t=3.000,{wide.end:.3f}"


def test_a_place_that_is_not_in_the_file_is_an_error(library: Library) -> None:
    name = library.retrieve("blue", k=1, modalities={"video"}, min_score=0)[0].id.partition("#")[0]
    for place in ("#t=900,901", "#t=5,5", "#t=6,5", "#char=0,4"):
        with pytest.raises(InputError, match="outside the file"):
            library.retriever().hit(name + place)


def test_what_is_no_id_of_anything_here_is_an_error(library: Library) -> None:
    wrong = ("", "photos/blue.png", "/etc/passwd", "0" * 16, "#t=0,1", "0" * 16 + "#t=a,b", "1" * 10_000, None, 7)
    for one in wrong:
        with pytest.raises(InputError, match="Nothing here has that id"):
            library.retriever().hit(one)  # type: ignore[arg-type]


def test_a_file_that_was_removed_is_not_found_again(library: Library) -> None:
    hit = library.retrieve("blue", k=1, modalities={"image"}, min_score=0)[0]
    library.remove(hit.source)
    with pytest.raises(InputError, match="Nothing here has that id"):
        library.retriever().hit(hit.id)


def test_an_id_survives_the_file_being_added_again(library: Library) -> None:
    hit = library.retrieve("blue", k=1, modalities={"image"}, min_score=0)[0]
    library.remove(hit.source)
    library.add(Path(hit.source).parent)
    assert library.retriever().hit(hit.id).source == hit.source


def test_what_is_like_a_passage_is_asked_for_in_its_words(library: Library) -> None:
    passage = library.retrieve("a red door", k=1, modalities={"text"}, min_score=0)[0]
    found = library.retriever(min_score=0).similar(passage, k=3)
    assert passage.id not in [hit.id for hit in found]
    assert found[0].source.endswith("red.png") or found[0].modality == "video"


def test_what_is_like_a_moment_is_not_what_is_around_it(library: Library) -> None:
    retriever = library.retriever(min_score=0)
    moment = retriever.retrieve("blue", k=1, modalities={"video"}, channels={"visual"})[0]
    found = retriever.similar(moment, k=10, channels={"visual"})
    assert found[0].source.endswith("blue.png")
    assert all(hit.source != moment.source or hit.end <= moment.start or hit.start >= moment.end for hit in found)  # type: ignore[operator]
    assert len(retriever.similar(moment.id, k=2)) == 2


def test_a_place_in_a_text_that_is_none_is_an_error(library: Library) -> None:
    name = library.retrieve("a red door", k=1, modalities={"text"}, min_score=0)[0].id.partition("#")[0]
    for place in ("#char=9,5", "#char=5,5", "#char=900,901"):
        with pytest.raises(InputError, match="outside the file"):
            library.retriever().hit(name + place)
