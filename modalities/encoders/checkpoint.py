"""From a name to files that may be loaded: a model id of the hub, or a folder, resolved and looked over.

Nothing here runs what a checkpoint brings: weights are safetensors or nothing (a pickle can run code), code is never
fetched, and a file that an index names must lie beside the index. What cannot be used is an EncoderError that says
what to do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any

from seehear.errors import EncoderError

from .extras import extra
from .families import FAMILIES, Family, Unusable, describe, number, preprocessing

NEEDED = ("clip", "huggingface_hub", "safetensors", "torch", "transformers")
"""The extra, and its packages."""
CONFIG = "config.json"
PICTURES = ("processor_config.json", "preprocessor_config.json")
WEIGHTS, INDEX, SHARDS = "model.safetensors", "model.safetensors.index.json", "model-?????-of-?????.safetensors"
VOCABULARY = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
"""A tokeniser has one of these; the others only say more about it."""
TOKENIZER = (*VOCABULARY, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
PACKAGES = {"SiglipTokenizer": ("sentencepiece", "google.protobuf")}
"""What some tokenisers need beside the extra's other packages, by their class in tokenizer_config.json."""
TELLS_NOTHING = {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}
"""Entries of config.json that do not change vectors."""

AGAIN = "it is damaged; get it again from where it came."

log = logging.getLogger("seehear")


class Incomplete(EncoderError):
    """A file is missing. In the hub's cache that is a fetch that was not finished; in a folder it is an error."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a checkpoint is: a folder, or a model id and a revision of the hub."""

    given: str
    """As the user wrote it."""
    name: str
    """Model id without the revision, or the folder's own name."""
    folder: Path | None
    revision: str | None = None

    @classmethod
    def parse(cls, given: str | Path) -> Address:
        """Read what a user wrote. A folder is a Path, or what begins with `/`, `.` or `~`. Raises EncoderError."""
        text = str(given)
        absolute = Path(text).is_absolute() or PureWindowsPath(text).is_absolute()
        if isinstance(given, Path) or text.startswith((".", "~")) or absolute:
            folder = Path(os.path.expanduser(text))  # noqa: PTH111 - the other way fails where nobody has that home
            return cls(text, folder.resolve().name, folder)
        name, at, revision = text.partition("@")
        fits = re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", name, re.ASCII) and not re.search(r"--|\.\.|\.git$", name)
        # The hub's client joins a revision to the path of its cache.
        if not fits or (at and (not re.fullmatch(r"\w[\w./+-]*", revision, re.ASCII) or ".." in revision)):
            raise EncoderError(
                f"{text!r} is no checkpoint: a model id is NAME or ORGANISATION/NAME, with @REVISION if you like; "
                f"write ./{text} for a folder."
            )
        return cls(text, name, None, revision or None)


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
            "weights": _digest_of(self.weights),
            "tokenizer": _digest_of(self.tokenizer),
            "preprocessing": describe(self.preprocessing),
            "padding": f"{case}at most {self.tokens} tokens, {rest}",
            "dim": str(self.dim),
        }


def find(address: Address, cache: Path | None = None) -> Checkpoint | None:
    """Look a checkpoint over where it is, without network; None if it is one of the hub and not (wholly) here."""
    if address.folder is not None:
        if not address.folder.is_dir():
            raise EncoderError(f"There is no folder {address.given}; a model id of the hub is written without a path.")
        return inspect(address, address.folder)
    folder = _cached(address, cache)
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
    with extra(*NEEDED):
        from huggingface_hub import HfApi, constants, snapshot_download
    with _talking_to_the_hub(address, _cached(address, cache)):
        if constants.is_offline_mode():
            raise ConnectionError("HF_HUB_OFFLINE is set")
        info = HfApi().model_info(address.name, revision=address.revision, files_metadata=True)
        sizes = {one.rfilename: one.size or 0 for one in info.siblings or ()}
        _has_weights(address, sizes)
        wanted = [CONFIG, *PICTURES, *TOKENIZER, *([WEIGHTS] if WEIGHTS in sizes else [INDEX, SHARDS])]
        where: dict[str, Any] = {"revision": address.revision, "cache_dir": _cache(cache)}
        # First the smallest file: what is of no known family costs no gigabytes.
        _family(address, Path(snapshot_download(address.name, allow_patterns=[CONFIG], **where)))
        taken = {name: size for name, size in sizes.items() if any(fnmatchcase(name, pattern) for pattern in wanted)}
        log.warning(
            "Fetching %s (commit %s) from %s: %d files, %.0f MB. That happens once.",
            *(address.name, info.sha, constants.ENDPOINT, len(taken), sum(taken.values()) / 1e6),
        )
        folder = Path(snapshot_download(address.name, allow_patterns=sorted(taken), **where))
    return inspect(address, folder, folder.name)


def inspect(address: Address, folder: Path, commit: str | None = None) -> Checkpoint:
    """Read the small files of a checkpoint and find the large ones. Raises EncoderError, or Incomplete."""
    family, config = _family(address, folder)
    _has_weights(address, {path.name: 0 for path in folder.iterdir()})
    said = None
    for name in PICTURES:  # the first one may hold it, or only what belongs to text
        if said is None and (folder / name).is_file():
            found = read_json(address, folder / name)
            said = found.get("image_processor") if name == PICTURES[0] else found
    if not isinstance(said, dict):
        raise Incomplete(f"{address.given} has no {PICTURES[1]}, which says how pictures are prepared: {AGAIN}")
    tokenizer = tuple(path for name in sorted(TOKENIZER) if (path := folder / name).is_file())
    if not any(path.name in VOCABULARY for path in tokenizer):
        raise Incomplete(f"{address.given} has no tokeniser (such as {VOCABULARY[0]}): {AGAIN}")
    try:
        prepared = preprocessing(family, said, config)
        dim = number(config, family.dim, family.default_dim)
        tokens = number(config, (("text_config", "max_position_embeddings"),), family.tokens)
    except Unusable as error:
        raise EncoderError(f"{address.given} {error}: {AGAIN}") from error
    weights = _weights(address, folder)
    return Checkpoint(address, folder, commit, family, config, prepared, weights, tokenizer, dim, tokens)


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
    return family, config


def _has_weights(address: Address, names: Mapping[str, object]) -> None:
    if WEIGHTS in names or INDEX in names:
        return
    pickles = sorted(name for name in names if name.endswith(PICKLES) and "/" not in name)
    if not pickles:
        raise Incomplete(f"{address.given} has no weights ({WEIGHTS}): {AGAIN}")
    raise Incomplete(
        f"{address.given} has its weights only as a pickle ({pickles[0]}), and a pickle can run code. Take a revision "
        f"that has {WEIGHTS} (ORGANISATION/NAME@refs/pr/N: look among the model's pull requests), or convert it."
    )


def _weights(address: Address, folder: Path) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    named = read_json(address, folder / INDEX).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise EncoderError(f"{INDEX} of {address.given} names no files: {AGAIN}")
    shards = sorted({str(name) for name in named.values()})
    for name in shards:
        if PureWindowsPath(name).name != name or not name.endswith(".safetensors"):
            raise EncoderError(f"{INDEX} of {address.given} names {name!r}, which is no safetensors file beside it.")
        if not (folder / name).is_file():
            raise Incomplete(f"{address.given} lacks {name}, a part of its weights: {AGAIN}")
    return tuple(folder / name for name in shards)


def read_json(address: Address, path: Path) -> dict[str, Any]:
    """A file of a checkpoint that must hold a JSON object: EncoderError."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path.name} of {address.given} cannot be read ({error}): {AGAIN}") from error
    if not isinstance(found, dict):
        raise EncoderError(f"{path.name} of {address.given} holds no JSON object: {AGAIN}")
    return found


def why(error: Exception) -> str:
    """What another library says, without the many lines that some add."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")


def _cache(cache: Path | None) -> str | None:
    given = cache or os.environ.get("HF_HUB_CACHE")  # read now: the client looks at it only when it is imported
    return str(Path(given).expanduser()) if given else None


def _cached(address: Address, cache: Path | None) -> Path | None:
    """The snapshot of the hub's cache, if there is one with a config."""
    with extra(*NEEDED):
        from huggingface_hub import try_to_load_from_cache
    found = try_to_load_from_cache(address.name, CONFIG, _cache(cache), address.revision)
    return Path(found).parent if isinstance(found, str) else None


@contextmanager
def _talking_to_the_hub(address: Address, cached: Path | None) -> Iterator[None]:
    from huggingface_hub import errors

    page = f"https://huggingface.co/{address.name}"
    try:
        yield
    except EncoderError:
        raise
    except errors.GatedRepoError as error:
        raise EncoderError(f"{address.name} is gated: accept its terms at {page}, then `hf auth login`.") from error
    except errors.RepositoryNotFoundError as error:
        raise EncoderError(
            f"There is no {address.name} at huggingface.co, or it is private (then `hf auth login`); "
            f"write ./{address.name} for a folder."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise EncoderError(
            f"{address.name} has no revision {address.revision!r}; {page}/commits lists them."
        ) from error
    except Exception as error:  # of the HTTP library that the client of the day is built on, or of the system
        if cached:
            inspect(address, cached)  # what is here may say better what is wrong: its weights are a pickle
        command = f"hf download {address.name} {f'--revision {address.revision} ' if address.revision else ''}"
        raise EncoderError(
            f"{address.given} is not on this computer and cannot be fetched ({why(error)}). Where there is a network: "
            f"`{command}--local-dir FOLDER`; then name it here, as dual:./FOLDER."
        ) from error


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - a file that has changed is another
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest_of(paths: tuple[Path, ...]) -> str:
    found = [_digest(path.resolve(), (s := path.stat()).st_size, s.st_mtime_ns) for path in paths]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()
