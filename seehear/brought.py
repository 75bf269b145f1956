"""Vectors that somebody already has, in the place of those that an encoder would make."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.contracts import Encoder
from seehear.errors import InputError, MediaError, ModelMismatch
from seehear.handle import away
from seehear.types import Content, Problem

SAMPLE = 5
"""Files whose vectors are made anew, to see that they are what the library's model makes."""
CLOSE = 0.95
"""Least cosine to those: other ways to scale a picture stay above it, other models far below."""


class Brought:
    """Vectors by file. Raises InputError for an array that does not fit the files."""

    def __init__(self, paths: Sequence[str], vectors: Any) -> None:
        try:
            rows = np.asarray(vectors)
            files = [Path(os.path.realpath(path)) for path in paths]
        except ValueError as error:  # rows of several lengths; a path that cannot be one
            raise InputError(f"These are no vectors of files: {error}.") from error
        if rows.ndim != 2 or rows.dtype.kind != "f" or len(rows) != len(files):
            raise InputError(
                f"Vectors are an array of floats with one row per file, ({len(files)}, dim), "
                f"not {rows.dtype} {rows.shape}."
            )
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        for place in np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))[:1]:
            raise InputError(f"The vector of {paths[place]} (row {place}) is zero or not finite.")
        self._rows = dict(zip(files, (rows / lengths).astype(np.float32), strict=True))
        self._unused = set(files)
        self._away = {file for path, file in zip(paths, files, strict=True) if away(file, path)}
        """Links that lead out: they are refused when their turn comes."""
        if len(self._rows) < len(files):
            raise InputError("A file is named twice among those whose vectors are given.")
        if folder := next((path for path in files if os.path.isdir(path)), None):  # noqa: PTH112
            raise InputError(f"{folder} is a folder; vectors are given for files.")

    def prove(self, encoder: Encoder, open_picture: Callable[[Path], Content]) -> None:
        """Make some of the vectors anew, from first to last of the files. Raises ModelMismatch when they are others."""
        files = list(self._rows)
        length = len(self._rows[files[0]]) if files else encoder.dim
        if length != encoder.dim:
            raise ModelMismatch(
                f"The given vectors have {length} dimensions, those of {encoder.name} {encoder.dim}. Open the library "
                "with the model that made them."
            )
        spread = np.linspace(0, len(files) - 1, SAMPLE).round().astype(int).tolist() if files else []
        proved = 0
        for place in dict.fromkeys([*spread, *range(len(files))]):
            if files[place] in self._away:
                continue
            try:
                picture = open_picture(files[place])
            except MediaError:
                continue  # it will be reported when its turn comes; the next one serves as well
            cosine = float(encoder.embed([picture], "document")[0] @ self._rows[files[place]])
            if cosine < CLOSE:
                raise ModelMismatch(
                    f"The given vector of {files[place]} (row {place}) is not what {encoder.name} makes of it (cosine "
                    f"{cosine:.3f}): it is of another model, or of another file. Open the library with the model that "
                    "made the vectors, and give files and vectors in one order."
                )
            proved += 1
            if proved >= SAMPLE:
                return

    def rows(self, paths: Sequence[Path]) -> NDArray[np.float32]:
        """The vectors of files, (len(paths), dim)."""
        self._unused.difference_update(paths)
        return np.stack([self._rows[path] for path in paths])

    def unused(self, failed: set[str]) -> list[Problem]:
        """Files whose vectors were not taken though nothing is wrong with them, and why."""
        why = "its vector was not used: the library has this file, or one with the same bytes, already"
        gone = {os.path.realpath(path) for path in failed}
        return [Problem(str(path), why) for path in sorted(self._unused) if str(path) not in gone]
