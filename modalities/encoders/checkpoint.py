"""From a name to a checkpoint of two towers that may be loaded: a model id of the hub, or a folder, looked over.

Nothing here runs what a checkpoint brings. What cannot be used is an EncoderError that says what to do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seehear.errors import EncoderError
from seehear.types import Needs

from . import pictures, sounds
from .families import FAMILIES, Family, Unusable, describe, number
from .hub import (
    AGAIN,
    INDEX,
    SHARDS,
    TOKENIZER,
    VOCABULARY,
    WEIGHTS,
    Address,
    Incomplete,
    cached,
    digest_of,
    download,
    has_weights,
    nothing_more,
    read_json,
    weights,
)  # fmt: skip

NEEDED = ("clip", "huggingface_hub", "safetensors", "torch", "transformers")
"""The extra, and its packages."""
CONFIG = "config.json"
PREPROCESSING = ("processor_config.json", "preprocessor_config.json")
PACKAGES = {"SiglipTokenizer": ("sentencepiece", "google.protobuf")}
"""What some tokenisers need beside the extra's other packages, by their class in tokenizer_config.json."""
TELLS_NOTHING = {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}
"""Entries of config.json that do not change vectors."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files are here and whose small ones make sense. Its weights have not been looked at."""

    address: Address
    folder: Path
    commit: str | None
    """Of a snapshot of the hub."""
    family: Family
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    weights: tuple[Path, ...]
    tokenizer: tuple[Path, ...]
    dim: int
    """Length of a vector."""
    tokens: int
    """Longest text that its model takes."""

    @property
    def needs(self) -> Needs:
        """What a content should be before it comes here."""
        wanted = pictures.needs if self.family.kind == "image" else sounds.needs
        return wanted(self.preprocessing)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """What decides which vector a content gets, by name. Reads every file once in the life of the process."""
        told = {name: value for name, value in self.config.items() if name not in TELLS_NOTHING}
        case = "lower-cased, " if self.family.lower_case else ""
        rest = "dropped" if self.family.padding == "longest" else f"padded on the right to {self.tokens}"
        return {
            "model": self.address.name,
            **({"revision": self.commit} if self.commit else {}),
            "family": self.family.name,
            "config": hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest(),
            "weights": digest_of(self.weights),
            "tokenizer": digest_of(self.tokenizer),
            "preprocessing": describe(self.preprocessing),
            "padding": f"{case}parts of at most {self.tokens} tokens, averaged, {rest}",
            "dim": str(self.dim),
        }


def find(address: Address, cache: Path | None = None) -> Checkpoint | None:
    """Look a checkpoint over where it is, without network; None if it is one of the hub and not (wholly) here."""
    if address.folder is not None:
        if not address.folder.is_dir():
            raise EncoderError(f"There is no folder {address.given}; a model id of the hub is written without a path.")
        return inspect(address, address.folder)
    folder = cached(address, CONFIG, cache, NEEDED)
    try:
        return inspect(address, folder, folder.name) if folder else None
    except Incomplete:
        return None


def fetch(address: Address, cache: Path | None = None) -> Checkpoint:
    """Like `find`, but what is not here comes from the hub: its size is logged, and nothing but data is taken.

    Raises EncoderError where there is no network, no such model or revision, or nothing that may be loaded.
    """
    if (here := find(address, cache)) is not None:
        return here
    folder = download(
        address, cache, "dual", NEEDED, [CONFIG], lambda first, sizes: _wanted(address, first, sizes),
        lambda: (there := cached(address, CONFIG, cache, NEEDED)) and inspect(address, there),
    )  # fmt: skip
    return inspect(address, folder, folder.name)


def _wanted(address: Address, folder: Path, sizes: Mapping[str, int]) -> list[str]:
    _family(address, folder)  # what is of no known family costs no gigabytes
    return [CONFIG, *PREPROCESSING, *TOKENIZER, *([WEIGHTS] if WEIGHTS in sizes else [INDEX, SHARDS])]


def inspect(address: Address, folder: Path, commit: str | None = None) -> Checkpoint:
    """Read the small files of a checkpoint and find the large ones. Raises EncoderError, or Incomplete."""
    family, config = _family(address, folder)
    has_weights(address, {path.name: 0 for path in folder.iterdir()})
    said = None
    part, things = ("image_processor", "pictures") if family.kind == "image" else ("feature_extractor", "sounds")
    for name in PREPROCESSING:  # the first one may hold it, or only what belongs to text
        if said is None and (folder / name).is_file():
            found = read_json(address, folder / name)
            said = found.get(part) if name == PREPROCESSING[0] else found
    if not isinstance(said, dict):
        raise Incomplete(f"{address.given} has no {PREPROCESSING[1]}, which says how {things} are prepared: {AGAIN}")
    tokenizer = tuple(path for name in sorted(TOKENIZER) if (path := folder / name).is_file())
    if not any(path.name in VOCABULARY for path in tokenizer):
        raise Incomplete(f"{address.given} has no tokeniser (such as {VOCABULARY[0]}): {AGAIN}")
    try:
        prepare = pictures.preprocessing if family.kind == "image" else sounds.preprocessing
        prepared = prepare(family, said, config)
        dim = number(config, family.dim, family.default_dim)
        tokens = number(config, (("text_config", "max_position_embeddings"),), family.tokens) - family.skipped
    except Unusable as error:
        raise EncoderError(f"{address.given} {error}: {AGAIN}") from error
    held = weights(address, folder)
    return Checkpoint(address, folder, commit, family, config, prepared, held, tokenizer, dim, tokens)


def _family(address: Address, folder: Path) -> tuple[Family, dict[str, Any]]:
    if not (folder / CONFIG).is_file():
        raise Incomplete(f"{address.given} is no checkpoint of transformers: it has no {CONFIG}.")
    config = read_json(address, folder / CONFIG)
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        code = ", and it wants to run code of its own, which seehear never does" if "auto_map" in config else ""
        raise EncoderError(
            f"{address.given} is of the type {config.get('model_type')!r}{code}. Known are {', '.join(FAMILIES)}."
        )
    nothing_more(address, folder, config)
    return family, config
