"""A library knows the models that made it, and says what is different about others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from numpy.typing import NDArray

from seehear import Library
from seehear.canary import picture
from seehear.errors import EncoderError, InputError, ModelMismatch
from seehear.testing import COLOUR, ColourEncoder
from seehear.types import Content, Picture, Role

OpenLibrary = Callable[..., Library]


class Changed(ColourEncoder):
    """Says that it is what it was, and is not."""

    def __init__(self, change: Callable[[Any], Any], kind: str = "image") -> None:
        super().__init__()
        self.change, self.kind = change, kind

    def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
        rows = super().embed(contents, role)
        if contents and contents[0].kind == self.kind:
            return np.asarray(self.change(rows), np.float32)
        return rows


def test_the_fingerprint_is_remembered_and_shown(open_library: OpenLibrary) -> None:
    assert open_library().info()["encoders"] == {COLOUR: {"weights": "none", "preprocessing": "mean colour"}}


@pytest.mark.parametrize("kind", ["image", "text"])
def test_an_encoder_that_gives_other_vectors_is_refused_before_one_is_used(
    open_library: OpenLibrary, photos: Path, kind: str
) -> None:
    with open_library() as library:
        library.add(photos / "red.png")
        library.retrieve("red")
    with open_library(encoders={COLOUR: Changed(lambda rows: np.roll(rows, 1, axis=1), kind)}) as library:
        with pytest.raises(ModelMismatch, match=rf"the same {kind} now gets another vector \(cosine 0"):
            library.add(photos) if kind == "image" else library.retrieve("red")
        assert library.info()["files"] == 1


def test_no_proof_is_lost_while_a_library_is_empty(open_library: OpenLibrary, photos: Path) -> None:
    with open_library() as library:
        library.retrieve("", image=photos / "red.png")
        library.retrieve("red")
        library.add(photos / "red.png")
        library.remove(photos / "red.png")
        library.retrieve("red")
        library.add(photos / "red.png")
    for kind in ("image", "text"):
        library = open_library(encoders={COLOUR: Changed(lambda rows: np.roll(rows, 1, axis=1), kind)})
        with library, pytest.raises(ModelMismatch, match=f"the same {kind} now gets another vector"):
            library.add(photos) if kind == "image" else library.retrieve("red")


def test_an_emptied_library_takes_other_models_of_another_length(open_library: OpenLibrary, photos: Path) -> None:
    class Longer(ColourEncoder):
        dim = 16
        fingerprint = {"weights": "longer"}  # noqa: RUF012 - a test's

        def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
            rows = ColourEncoder().embed(contents, role)
            return np.concatenate([rows, rows], axis=1) / np.float32(2**0.5)

    with open_library() as library:
        library.add(photos)
        library.remove(photos)
    with open_library(encoders={COLOUR: Longer()}) as library:
        assert len(library.add(photos).added) == 5
        assert Path(library.retrieve("red", k=1)[0].source).name == "red.png"
    with pytest.raises(ModelMismatch, match="weights: longer then"):
        open_library()


def test_what_an_empty_library_was_asked_with_binds_nothing(open_library: OpenLibrary, photos: Path) -> None:
    class Nameless(Changed):
        fingerprint = {}  # noqa: RUF012 - a test's

    with open_library(encoders={COLOUR: Nameless(lambda rows: rows)}) as library:
        library.retrieve("red")
    for _ in range(2):
        changed = Nameless(lambda rows: np.roll(rows, 1, axis=1), "text")
        with open_library(encoders={COLOUR: changed}) as library:
            library.add(photos / "red.png")
            assert library.retrieve("red", min_score=0)


def test_lists_are_as_good_as_arrays(open_library: OpenLibrary, photos: Path) -> None:
    class Lists(ColourEncoder):
        def embed(self, contents: Sequence[Content], role: Role) -> Any:
            return super().embed(contents, role).tolist()

    library = open_library(encoders={COLOUR: Lists()})
    assert len(library.add(photos).added) == 5
    assert Path(library.retrieve("red", k=1)[0].source).name == "red.png"


def test_small_differences_of_processors_are_let_through(open_library: OpenLibrary, photos: Path) -> None:
    with open_library() as library:
        library.add(photos)

    def shaken(rows: Any) -> Any:
        rows = rows + 0.004 * np.random.default_rng(1).normal(size=rows.shape)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    with open_library(encoders={COLOUR: Changed(shaken)}) as library:
        assert library.retrieve("red", k=1)
        assert library.retrieve("", image=photos / "blue.png", k=1)[0].source.endswith("blue.png")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: 3 * rows,
        lambda rows: rows[:, :4],
        lambda rows: rows * np.nan,
        lambda rows: rows[0],
        lambda rows: rows[:0],
    ],
)
def test_an_encoder_that_breaks_its_contract_is_told_so(
    open_library: OpenLibrary, photos: Path, change: Callable[[Any], Any]
) -> None:
    library = open_library(encoders={COLOUR: Changed(change)})
    with pytest.raises(EncoderError, match=r"gave an array .* expected \(1, 8\), unit rows"):
        library.add(photos)


def test_a_vector_without_numbers_costs_its_file_only(open_library: OpenLibrary, photos: Path) -> None:
    class Partly(ColourEncoder):
        def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
            rows = super().embed(contents, role)
            rows[[one.kind == "image" and bool((one.pixels == (255, 0, 0)).all()) for one in contents]] = np.nan  # type: ignore
            return rows

    report = open_library(encoders={COLOUR: Partly()}).add(photos)
    assert [(Path(one.path).name, "holds no numbers" in one.reason) for one in report.failed] == [("red.png", True)]
    assert len(report.added) == 4


def test_too_few_rows_and_a_failure_on_fixed_contents_are_the_encoders_fault(
    open_library: OpenLibrary, photos: Path
) -> None:
    class Short(ColourEncoder):
        def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
            return super().embed(contents, role)[: 1 if role == "document" else None]

    class Broken(ColourEncoder):
        def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
            raise RuntimeError("CUDA out of memory")

    with open_library(encoders={COLOUR: Short()}) as library:
        assert len(library.add(photos).added) == 5  # each by itself
    with pytest.raises(EncoderError, match=r"cannot embed a simple image: .*out of memory"):
        open_library(photos.parent / "second", encoders={COLOUR: Broken()}).add(photos)


def test_a_fingerprint_that_comes_with_the_weights_is_compared_then(open_library: OpenLibrary, photos: Path) -> None:
    class Late(ColourEncoder):
        def __init__(self, weights: str) -> None:
            super().__init__()
            self.fingerprint, self._weights = {}, weights

        def embed(self, contents: Sequence[Content], role: Role) -> NDArray[np.float32]:
            self.fingerprint = {"model": "late", "revision": self._weights, "weights": self._weights}
            return super().embed(contents, role)

    with open_library(encoders={COLOUR: Late("a" * 40)}) as library:
        assert library.info()["encoders"] == {COLOUR: {}}
        library.add(photos)
        assert library.info()["encoders"][COLOUR]["revision"] == "a" * 40
    with (
        open_library(encoders={COLOUR: Late("b" * 40)}) as library,
        pytest.raises(ModelMismatch, match=r"revision aaaaaaaaaaaa…; here .*bbbb.*weights: aaaaaaaaaaaa… then, b"),
    ):
        library.retrieve("red")


def test_a_class_of_ones_own_may_have_a_revision(open_library: OpenLibrary, photos: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(ColourEncoder, "fingerprint", {"weights": "w", "revision": "7"})
    with open_library(encoders={}) as library:
        library.add(photos)
    with open_library(encoders={}) as library:
        assert library.retrieve("red")


def test_where_weights_came_from_does_not_matter_when_they_are_the_same(open_library: OpenLibrary) -> None:
    hub, folder = ColourEncoder(), ColourEncoder()
    hub.fingerprint = {"model": "org/name", "revision": "1", "weights": "w"}
    folder.fingerprint = {"model": "/models/name", "weights": "w"}
    open_library(encoders={COLOUR: hub}).close()
    open_library(encoders={COLOUR: folder}).close()


def test_another_store_than_the_library_was_made_with_is_refused(
    open_library: OpenLibrary, photos: Path, tmp_path: Path
) -> None:
    with open_library() as library:
        library.add(photos / "red.png")
    client = chromadb.PersistentClient(str(tmp_path / "mine"))
    with pytest.raises(InputError, match="are in the store 'chroma', not 'your own Client'"):
        open_library(store=client)
    client.close()


def test_threads_that_come_at_once_prove_it_once(open_library: OpenLibrary, photos: Path) -> None:
    encoder = ColourEncoder()
    asked: list[int] = []
    real = encoder.embed
    encoder.embed = lambda contents, role: asked.append(len(contents)) or real(contents, role)  # type: ignore
    library = open_library(encoders={COLOUR: encoder})
    library.add(photos / "red.png")
    library.retrieve("red")  # by now the scale of the collection is measured
    library.close()
    asked.clear()
    library = open_library(encoders={COLOUR: encoder})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: library.retrieve("red"), range(16)))
    assert asked[0] == 3
    assert sum(asked) == 3 + 16  # questions that come at once are embedded together


def test_the_fixed_picture_is_the_same_everywhere() -> None:
    fixed = picture()
    assert isinstance(fixed, Picture)
    assert fixed.pixels.shape == (300, 420, 3)
    assert hashlib.sha256(fixed.pixels.tobytes()).hexdigest()[:16] == "3b21d2aa2a3cc8fd"
