"""Vectors that somebody has are taken in with their files, if they are of the library's model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seehear import Library
from seehear.errors import InputError, ModelMismatch
from seehear.media import Limits, open_source
from seehear.picture import read_picture
from seehear.testing import ColourEncoder
from seehear.types import Needs


def vectors_of(paths: list[Path]) -> Any:
    pictures = []
    for path in paths:
        with open_source(path, path.name, Limits()) as source:
            pictures.append(read_picture(source, Needs(), Limits()))
    return ColourEncoder().embed(pictures, "query")


@pytest.fixture
def files(photos: Path) -> list[Path]:
    return sorted(photos.rglob("*.png"))


def test_given_vectors_are_found_and_nothing_but_a_sample_is_embedded(
    library: Library, encoder: ColourEncoder, files: list[Path]
) -> None:
    report = library.add_vectors(files, 7 * vectors_of(files).astype(np.float64), metadata={"from": "elsewhere"})
    assert len(report.added) == 5
    assert len(encoder.embedded) == 5
    (hit,) = library.retrieve("blue", k=1, where={"from": "elsewhere"})
    assert Path(hit.source).name == "blue.png"


def test_files_that_were_given_vectors_are_unchanged_afterwards(library: Library, files: list[Path]) -> None:
    library.add_vectors(files, vectors_of(files))
    report = library.add(files[0].parent.parent if files[0].parent.name == "more" else files[0].parent)
    assert (len(report.unchanged), report.embedded) == (5, 0)


def test_vectors_of_another_model_are_refused_and_nothing_is_taken_in(library: Library, files: list[Path]) -> None:
    with pytest.raises(ModelMismatch, match=r"The given vector of .*png \(row 0\) is not what colour makes of it"):
        library.add_vectors(files, np.roll(vectors_of(files), 1, axis=1))
    with pytest.raises(ModelMismatch, match="have 5 dimensions, those of colour 8"):
        library.add_vectors(files, vectors_of(files)[:, :5])
    with pytest.raises(ModelMismatch, match="give files and vectors in one order"):
        library.add_vectors(files, np.roll(vectors_of(files), 1, axis=0))
    assert library.info()["files"] == 0
    assert library.retrieve("red") == []


def test_a_file_that_cannot_be_read_is_reported_and_the_others_taken_in(library: Library, files: list[Path]) -> None:
    rows = vectors_of(files)
    files[2].write_bytes(b"no picture")
    report = library.add_vectors([*files, "gone.png"], np.concatenate([rows, rows[:1]]))
    assert (len(report.added), len(report.failed), report.notes) == (4, 2, [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:3], r"one row per file, \(5, dim\), not float32 \(3, 8\)"),
        (lambda rows: rows[0], "one row per file"),
        (lambda rows: (rows * 9).astype(int), "an array of floats"),
        (lambda rows: rows * np.array([[1], [1], [0], [1], [1]]), r"row 2\) is zero or not finite"),
        (lambda rows: np.where(np.arange(5)[:, None] == 1, np.nan, rows), r"row 1\) is zero or not finite"),
    ],
)
def test_an_array_that_does_not_fit_is_an_input_error(
    library: Library, files: list[Path], change: Any, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        library.add_vectors(files, change(vectors_of(files)))


def test_what_was_given_and_not_used_is_noted(library: Library, files: list[Path], tmp_path: Path) -> None:
    library.add(files[0])
    copy = tmp_path / "copy.png"
    copy.write_bytes(files[1].read_bytes())
    given = [*files, copy]
    report = library.add_vectors((path for path in given), vectors_of(given))
    noted = {note.path for note in report.notes if "was not used" in note.reason}
    assert str(files[0]) in noted
    assert len(noted) == 2
    assert report.embedded == 0


def test_a_file_twice_and_a_folder_are_input_errors(library: Library, files: list[Path]) -> None:
    rows = vectors_of(files)
    with pytest.raises(InputError, match="named twice"):
        library.add_vectors([files[0], files[0]], rows[:2])
    with pytest.raises(InputError, match="no vectors of files"):
        library.add_vectors(files[:2], [[1.0, 2.0], [1.0]])
    with pytest.raises(InputError, match="no vectors of files"):
        library.add_vectors(["a\0b"], rows[:1])
    with pytest.raises(InputError, match="is a folder"):
        library.add_vectors([files[0].parent], rows[:1])
