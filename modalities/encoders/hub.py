"""Where models come from: folders, and the hub of Hugging Face. What is fetched is data, and never code.

Weights are safetensors or nothing (a pickle can run code), and a file that an index names must lie beside the index.
What cannot be had is an EncoderError that says what to do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PureWindowsPath
from typing import Any

from seehear.errors import EncoderError

from .extras import extra

WEIGHTS, INDEX, SHARDS = "model.safetensors", "model.safetensors.index.json", "model-?????-of-?????.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
VOCABULARY = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "tokenizer.model", "sentencepiece.bpe.model")
"""A tokeniser has one of these; the others only say more about it."""
TOKENIZER = (*VOCABULARY, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")
ADAPTER = "adapter_config.json"
MORE = {
    "backbone": "another model, which transformers would ask the hub for",
    "compression_config": "how it is quantised, which other packages would have to undo",
    "quantization_config": "how it is quantised, which other packages would have to undo",
    "transformers_weights": "another file of weights",
}
"""Entries of config.json that would have transformers load more than what is looked over here."""
HEADER = 10_000_000
"""Bytes of the table of a file of safetensors, of a hundred for each tensor: more than any network has."""
LAYERS = 1000
"""More than any network has; as many as a hostile file may say take hours to set up."""
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


def download(
    address: Address,
    cache: Path | None,
    encoder: str,
    needed: Sequence[str],
    first: Sequence[str],
    wanted: Callable[[Path, Mapping[str, int]], list[str]],
    tell: Callable[[], object],
) -> Path:
    """Fetch a model from the hub, with its size logged: the folder. Raises EncoderError, MissingExtra.

    `first` are the files that cost little; `wanted` looks at them, and at the sizes of all, and names what else is
    taken, as patterns, or raises. Where nothing can be fetched, `tell` may raise what is wrong with what is here.
    """
    with extra(*needed):
        from huggingface_hub import HfApi, constants, snapshot_download
    with _talking_to_the_hub(address, encoder, tell):
        if constants.is_offline_mode():
            raise ConnectionError("HF_HUB_OFFLINE is set")
        info = HfApi().model_info(address.name, revision=address.revision, files_metadata=True)
        sizes = {one.rfilename: one.size or 0 for one in info.siblings or ()}
        has_weights(address, sizes)
        where: dict[str, Any] = {"revision": address.revision, "cache_dir": _cache(cache)}
        patterns = wanted(Path(snapshot_download(address.name, allow_patterns=list(first), **where)), sizes)
        taken = {name: size for name, size in sizes.items() if any(fnmatchcase(name, pattern) for pattern in patterns)}
        log.warning(
            "Fetching %s (commit %s) from %s: %d files, %.0f MB. That happens once.",
            *(address.name, info.sha, constants.ENDPOINT, len(taken), sum(taken.values()) / 1e6),
        )
        return Path(snapshot_download(address.name, allow_patterns=sorted(taken), **where))


def has_weights(address: Address, names: Mapping[str, object]) -> None:
    """Raise Incomplete unless safetensors are among the names of files."""
    if WEIGHTS in names or INDEX in names:
        return
    pickles = sorted(name for name in names if name.endswith(PICKLES) and "/" not in name)
    if not pickles:
        raise Incomplete(f"{address.given} has no weights ({WEIGHTS}): {AGAIN}")
    raise Incomplete(
        f"{address.given} has its weights only as a pickle ({pickles[0]}), and a pickle can run code. Take a revision "
        f"that has {WEIGHTS} (ORGANISATION/NAME@refs/pr/N: look among the model's pull requests), or convert it."
    )


def weights(address: Address, folder: Path) -> tuple[Path, ...]:
    """The safetensors of a folder, all of them beside each other. Raises EncoderError, or Incomplete."""
    if (folder / WEIGHTS).is_file():
        return (_weighed(address, folder / WEIGHTS),)
    named = read_json(address, folder / INDEX).get("weight_map")
    if not isinstance(named, dict) or not named:
        raise EncoderError(f"{INDEX} of {address.given} names no files: {AGAIN}")
    shards = sorted({str(name) for name in named.values()})
    for name in shards:
        if PureWindowsPath(name).name != name or not name.endswith(".safetensors"):
            raise EncoderError(f"{INDEX} of {address.given} names {name!r}, which is no safetensors file beside it.")
        if not (folder / name).is_file():
            raise Incomplete(f"{address.given} lacks {name}, a part of its weights: {AGAIN}")
    return tuple(_weighed(address, folder / name) for name in shards)


def _weighed(address: Address, path: Path) -> Path:
    """A file of safetensors whose table is no longer than one can be: reading a longer one takes minutes."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > HEADER:
        raise EncoderError(f"{path.name} of {address.given} is no file of safetensors: {AGAIN}")
    return path


def read_json(address: Address, path: Path) -> dict[str, Any]:
    """A file of a checkpoint that must hold a JSON object: EncoderError."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path.name} of {address.given} cannot be read ({error}): {AGAIN}") from error
    if not isinstance(found, dict):
        raise EncoderError(f"{path.name} of {address.given} holds no JSON object: {AGAIN}")
    return found


def entries(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """All names in a JSON object and in those below it, with what they say."""
    every: list[tuple[str, Any]] = []
    below = [found]
    while below:
        one = below.pop()
        every += one.items()
        below += [value for value in one.values() if isinstance(value, dict)]
    return every


def nothing_more(address: Address, folder: Path, config: Mapping[str, Any]) -> None:
    """Raise EncoderError where transformers would load more than the files that are looked over, or never end.

    An adapter names the model that it belongs to, wherever that is, and takes effect where `peft` is installed.
    """
    if (folder / ADAPTER).is_file():
        raise EncoderError(f"{address.given} has an adapter, {ADAPTER}: merge it into its model, or take it away.")
    for name, value in entries(config):
        if value and name in MORE:
            raise EncoderError(f"{address.given} says {MORE[name]} ({name}): that is not loaded. Take a plain model.")
        if "layers" in name and isinstance(value, int) and value > LAYERS:
            raise EncoderError(f"{address.given} says {name} = {value}, which makes no sense: {AGAIN}")


@contextmanager
def spoken_for(what: str) -> Iterator[None]:
    """Make an EncoderError that begins with `what` of whatever another library makes of a broken file."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and not panicked(error):
            raise
        raise EncoderError(f"{what} ({why(error)}): {AGAIN}") from error


def panicked(error: BaseException) -> bool:
    """Whether a library that is written in Rust gave up, of which it makes something that is no Exception."""
    return type(error).__name__ == "PanicException"


def why(error: BaseException) -> str:
    """What another library says, without the many lines that some add."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")


def _cache(cache: Path | None) -> str | None:
    given = cache or os.environ.get("HF_HUB_CACHE")  # read now: the client looks at it only when it is imported
    return str(Path(given).expanduser()) if given else None


def cached(address: Address, name: str, cache: Path | None, needed: Sequence[str]) -> Path | None:
    """The snapshot of the hub's cache, if there is one with a file of this name. Raises MissingExtra.

    `needed` is the extra, and its packages.
    """
    with extra(*needed):
        from huggingface_hub import try_to_load_from_cache
    found = try_to_load_from_cache(address.name, name, _cache(cache), address.revision)
    return Path(found).parent if isinstance(found, str) else None


@contextmanager
def _talking_to_the_hub(address: Address, encoder: str, tell: Callable[[], object]) -> Iterator[None]:
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
        tell()
        command = f"hf download {address.name} {f'--revision {address.revision} ' if address.revision else ''}"
        raise EncoderError(
            f"{address.given} is not on this computer and cannot be fetched ({why(error)}). Where there is a network: "
            f"`{command}--local-dir FOLDER`; then name it here, as {encoder}:./FOLDER."
        ) from error


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:  # noqa: ARG001 - a file that has changed is another
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(paths: tuple[Path, ...]) -> str:
    found = [_digest(path.resolve(), (s := path.stat()).st_size, s.st_mtime_ns) for path in paths]
    return hashlib.sha256("\n".join(found).encode()).hexdigest()
