"""Vectors that somebody already has, in the place of those that an encoder would make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.contracts import Encoder
from seehear.errors import InputError, ModelMismatch
from seehear.types import Content

SAMPLE = 3
"""Files whose vectors are made anew, to see that they are what the library's model makes."""
CLOSE = 0.95
"""Least cosine to those: other ways to scale a picture stay above it, other models far below."""


class Brought:
    """Vectors by file. Raises InputError for an array that does not fit the files."""

    def __init__(self, paths: Sequence[str | os.PathLike[str]], vectors: Any) -> None:
        rows = np.asarray(vectors)
        if rows.ndim != 2 or rows.dtype.kind != "f" or len(rows) != len(paths):
            raise InputError(
                f"Vectors are an array of floats with one row per file, ({len(paths)}, dim), "
                f"not {rows.dtype} {rows.shape}."
            )
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
        for place in np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))[:1]:
            raise InputError(f"The vector of {paths[place]} (row {place}) is zero or not finite.")
        units = (rows / lengths).astype(np.float32)
        self._rows = {Path(os.path.realpath(path)): row for path, row in zip(paths, units, strict=True)}
        self._left = SAMPLE
        if len(self._rows) < len(paths):
            raise InputError("A file is named twice among those whose vectors are given.")

    def rows(self, encoder: Encoder, paths: Sequence[Path], contents: Sequence[Content]) -> NDArray[np.float32]:
        """The vectors of files, (len(paths), dim). Raises ModelMismatch when the encoder would make others."""
        found = np.stack([self._rows[path] for path in paths])
        if found.shape[1] != encoder.dim:
            raise ModelMismatch(
                f"The given vectors have {found.shape[1]} dimensions, those of {encoder.name} {encoder.dim}: they are "
                "of another model. Open the library with the model that made them."
            )
        sample = min(self._left, len(paths))
        if sample:
            cosines = (encoder.embed(contents[:sample], "document") * found[:sample]).sum(axis=1)
            if cosines.min() < CLOSE:
                raise ModelMismatch(
                    f"The given vector of {paths[int(cosines.argmin())]} is not what {encoder.name} makes of it "
                    f"(cosine {cosines.min():.3f}): it is of another model. Open the library with the one that made it."
                )
            self._left -= sample
        return found
