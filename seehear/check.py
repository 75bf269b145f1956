"""`seehear check`: whether a model set is, on this machine, what it should be, and how fast it is.

A reference holds what the true model makes of a few fixed contents: `references/clip.npz` has the vectors that OpenAI's
CLIP ViT-B/32 gives to some texts. `--write` makes one of what is here, to be compared on another machine.
"""

from __future__ import annotations

import statistics
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

from seehear.canary import CLOSE, WORDS, contents, likeness, picture
from seehear.contracts import Encoder
from seehear.errors import InputError, SeehearError
from seehear.passport import told
from seehear.types import Content, Text

BATCHES, BATCH = 10, 8
EXACT, HALF = 0.9999, CLOSE
"""Least cosine to the reference: in single precision, and in half."""
State = Literal["ok", "wrong", "not done", "measured"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    state: State
    what: str
    compared: bool = False
    """It was held against true vectors."""


def reference(name: str) -> dict[str, NDArray[Any]] | None:
    """The reference that comes with seehear for a model set, if there is one."""
    held = files("seehear") / "references" / f"{name}.npz"
    if not name.isidentifier() or not held.is_file():
        return None
    with as_file(held) as path:
        return read(path)


def read(path: Path) -> dict[str, NDArray[Any]]:
    """Read a reference. Raises InputError."""
    try:
        held = np.load(path, allow_pickle=False)
        if not isinstance(held, NpzFile):
            raise ValueError("it is no .npz")
        with held:
            found = {name: held[name] for name in held.files}
        if found["texts"].ndim != 1 or not len(found["texts"]) or len(found["texts"]) != len(found["text_rows"]):
            raise ValueError("it has not one vector for each text")
        for name in {"text_rows", "picture_rows"} & set(found):
            if found[name].ndim != 2 or found[name].dtype.kind != "f" or not np.isfinite(found[name]).all():
                raise ValueError(f"its {name} are no vectors")
        if len(found.get("picture_rows", [0])) != 1:
            raise ValueError("it has not one vector of the picture")
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, BadZipFile, zlib.error) as error:
        known = ", ".join(sorted(Path(one.name).stem for one in (files("seehear") / "references").iterdir()))
        raise InputError(f"{path} is no reference: {error}. Sets that have one: {known}.") from error
    return found


def write(path: Path, encoder: Encoder) -> None:
    """Write down what an encoder makes of the fixed contents."""
    held: dict[str, Any] = {"texts": np.array(WORDS), "text_rows": encoder.embed(contents("text"), "query")}
    if "image" in encoder.takes:
        held["picture_rows"] = encoder.embed(contents("image"), "document")
        held["preprocessing"] = np.array(encoder.fingerprint.get("preprocessing", ""))
    np.savez(path, **held)


def check(encoder: Encoder, known: Mapping[str, NDArray[Any]] | None) -> Iterator[Finding]:
    """Load an encoder and look at what it does, one finding after another; stops at what makes going on pointless."""
    try:
        yield from _looked(encoder, known)
    except Exception as error:  # an encoder may be anybody's
        yield Finding("wrong", f"it failed: {error!r}")


def _looked(encoder: Encoder, known: Mapping[str, NDArray[Any]] | None) -> Iterator[Finding]:
    try:
        batch = contents("text") + (contents("image") if "image" in encoder.takes else [])
        together = encoder.embed(batch, "document")
    except SeehearError as error:
        yield Finding("not done", f"load it: {error}")
        return
    precision = getattr(encoder, "precision", "float32")  # no encoder must say it; most have one
    yield Finding("ok", f"loaded: {told(encoder.fingerprint)}")
    alone = np.concatenate([encoder.embed([content], "document") for content in batch])
    lengths = np.linalg.norm(together, axis=1)
    least = EXACT if precision == "float32" else HALF
    good = together.shape == (len(batch), encoder.dim) and np.allclose(lengths, 1, atol=1e-3)
    same = likeness(together, alone) if good else 0.0
    yield Finding(
        "ok" if good and same >= least else "wrong",
        f"unit rows of {encoder.dim} numbers, the same alone and in a batch (least cosine {same:.6f}, {precision})",
    )
    yield from _against(encoder, known, least)
    yield from _timed(encoder)


def _against(encoder: Encoder, known: Mapping[str, NDArray[Any]] | None, least: float) -> Iterator[Finding]:
    if known is None:
        yield Finding("not done", "compare with true vectors: none of this set are known; give a file (--reference)")
        return
    texts: list[Content] = [Text(str(words)) for words in known["texts"]]
    yield _compared(f"{len(texts)} texts", encoder.embed(texts, "query"), known["text_rows"], least)
    if "picture_rows" in known:
        yield _compared("the fixed picture", encoder.embed(contents("image"), "document"), known["picture_rows"], least)
    else:
        yield Finding("not done", "compare a picture: the reference has no vector of one")
    if "preprocessing" in known:
        expected, found = str(known["preprocessing"]), encoder.fingerprint.get("preprocessing", "")
        good = expected == found
        what = f"preprocessing is {found!r}" + ("" if good else f", expected {expected!r}")
        yield Finding("ok" if good else "wrong", what)


def _compared(what: str, rows: NDArray[np.float32], expected: NDArray[Any], least: float) -> Finding:
    units = (expected / np.linalg.norm(expected, axis=1, keepdims=True)).astype(np.float32)
    if units.shape != rows.shape:
        return Finding("wrong", f"{what}: vectors are {rows.shape}, those of the reference {units.shape}", True)
    cosine = likeness(rows, units)
    verdict = "as the reference says" if cosine >= least else f"NOT as the reference says (at least {least} is asked)"
    return Finding("ok" if cosine >= least else "wrong", f"{what}: {verdict}, least cosine {cosine:.6f}", True)


def _timed(encoder: Encoder) -> Iterator[Finding]:
    kinds: dict[str, Content] = {"texts": Text(WORDS[1])}
    if "image" in encoder.takes:
        kinds["pictures"] = picture()
    for kind, content in kinds.items():
        times = []
        for _ in range(BATCHES):
            started = time.perf_counter()
            encoder.embed([content] * BATCH, "document")
            times.append(time.perf_counter() - started)
        middle = statistics.median(times)
        yield Finding("measured", f"{BATCHES} batches of {BATCH} {kind}: {BATCH / middle:.1f} per second (median)")
