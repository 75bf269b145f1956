"""How well questions find their answers: recall at k and median rank, with intervals."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seehear.contracts import Encoder, Store
from seehear.errors import InputError
from seehear.ledger import Ledger
from seehear.types import Collection, Route, Text

CUTS = (1, 5, 10)
BATCH = 64
"""Captions that are embedded at a time."""
RESAMPLES = 1000
BLOCK = 1024
"""Questions compared at a time: bounds memory, changes nothing."""


@dataclass(frozen=True, slots=True)
class Direction:
    """One way of asking, measured."""

    name: str
    queries: int
    candidates: int
    recall: dict[int, float]
    """Share of questions whose answer is among the first k, for each k."""
    interval: dict[int, tuple[float, float]]
    """95 % interval of each recall."""
    median_rank: float


def directions(
    ledger: Ledger, store: Store, route: Route, encoder: Encoder, pairs: Sequence[tuple[Path, str]]
) -> list[Direction]:
    """Measure a library's pictures with their captions, both ways. Raises InputError for a picture that it lacks."""
    held = {str(path): key for key, path in ledger.paths().items()}
    owners: dict[str, int] = {}
    for path, _ in pairs:
        name = os.path.realpath(path)
        if name not in held:
            raise InputError(f"{path} is not in the library; add it first.")
        owners.setdefault(name, len(owners))
    ids = [ledger.segment_ids(held[name])["visual"][0] for name in owners]
    vectors = store.get(Collection(route.encoder, "visual", "image"), ids)
    images = np.stack([vectors[name] for name in ids])
    captions = [Text(caption) for _, caption in pairs]
    batches = range(0, len(captions), BATCH)
    texts = np.concatenate([encoder.embed(captions[n : n + BATCH], "query") for n in batches])
    owner = [owners[os.path.realpath(path)] for path, _ in pairs]
    return [text_to_image(texts, owner, images), image_to_text(texts, owner, images)]


def read_pairs(path: Path, images: Path | None = None) -> list[tuple[Path, str]]:
    """Read a CSV with the columns image and caption: one picture and one caption a row.

    A picture's path is relative to `images`, by default the CSV's folder, or `images` in it. Raises InputError.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if not {"image", "caption"} <= set(rows.fieldnames or ()):
                raise InputError(
                    f"{path} needs the columns image and caption; it has {', '.join(rows.fieldnames or ())}."
                )
            pairs = [(row["image"] or "", row["caption"] or "") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV file: {error}.") from error
    if not pairs:
        raise InputError(f"{path} has no rows.")
    folders = [images] if images else [path.parent, path.parent / "images"]
    home = next((folder for folder in folders if (folder / pairs[0][0]).is_file()), folders[0])
    for line, (image, caption) in enumerate(pairs, 2):
        if not image or not caption.strip():
            raise InputError(f"{path}, line {line}: image and caption must both be there.")
    return [(home / image, caption) for image, caption in pairs]


def text_to_image(texts: NDArray[np.float32], owners: Sequence[int], images: NDArray[np.float32]) -> Direction:
    """Every caption asks for its picture.

    `texts` is (m, dim) and `images` (n, dim), unit rows; caption i belongs to picture `owners[i]`.
    """
    own = np.asarray(owners)
    ranks = np.empty(len(texts), np.int64)
    for start in range(0, len(texts), BLOCK):
        part = slice(start, start + BLOCK)
        similarities = texts[part] @ images.T
        right = similarities[np.arange(len(similarities)), own[part]]
        # A tie counts against the answer (its own similarity makes the 1).
        ranks[part] = (similarities >= right[:, None]).sum(axis=1)
    return _direction("text -> image", ranks, own, len(images))


def image_to_text(texts: NDArray[np.float32], owners: Sequence[int], images: NDArray[np.float32]) -> Direction:
    """Every picture asks for a caption; any of its own will do. Arguments as for `text_to_image`."""
    own = np.asarray(owners)
    ranks = np.empty(len(images), np.int64)
    for start in range(0, len(images), BLOCK):
        similarities = images[start : start + BLOCK] @ texts.T
        mine = own[None, :] == np.arange(start, start + len(similarities))[:, None]
        best = np.where(mine, similarities, -np.inf).max(axis=1)
        ranks[start : start + BLOCK] = 1 + ((similarities >= best[:, None]) & ~mine).sum(axis=1)
    return _direction("image -> text", ranks, np.arange(len(images)), len(texts))


def _direction(name: str, ranks: NDArray[np.int64], owners: NDArray[np.int64], candidates: int) -> Direction:
    recall = {k: float((ranks <= k).mean()) for k in CUTS}
    return Direction(name, len(ranks), candidates, recall, _intervals(ranks, owners), float(np.median(ranks)))


def _intervals(ranks: NDArray[np.int64], owners: NDArray[np.int64]) -> dict[int, tuple[float, float]]:
    """Bootstrap over pictures, not captions: five captions of one picture are not five independent questions."""
    pictures, owner = np.unique(owners, return_inverse=True)
    asked = np.bincount(owner)
    rng = np.random.default_rng(0)
    # How often each picture is drawn: a resample of n pictures with replacement.
    drawn = rng.multinomial(len(pictures), np.full(len(pictures), 1 / len(pictures)), size=RESAMPLES)
    found = {}
    for k in CUTS:
        hit = np.bincount(owner, weights=ranks <= k)
        low, high = np.quantile((drawn @ hit) / (drawn @ asked), (0.025, 0.975))
        found[k] = (float(low), float(high))
    return found
