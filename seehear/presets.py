"""Model sets as data: which encoder serves which route. A set is listed only if a test runs it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import get_args

from seehear.errors import InputError
from seehear.types import Channel, Kind, Route


@dataclass(frozen=True, slots=True)
class ModelSet:
    """The models of a library: chosen when it is made, and remembered."""

    name: str
    routes: tuple[Route, ...]
    modalities: tuple[str, ...] = ("image", "text", "video")
    """Names of the modalities that cut files into segments."""
    transcriber: str | None = None
    """Who writes down what is said; None leaves speech alone."""


WORDS: frozenset[Kind] = frozenset({"text"})
SEEN: frozenset[Kind] = frozenset({"text", "image"})
HEARD: frozenset[Kind] = frozenset({"text", "audio"})
ALL: frozenset[Kind] = frozenset({"text", "image", "audio"})
READ: tuple[Channel, ...] = ("speech", "text")
"""Channels of words."""
EVERY = ("image", "audio", "text", "video")
"""All kinds of files."""


def _of_parts(name: str, seen: str, heard: str, read: str, transcriber: str) -> ModelSet:
    """A set of one encoder per channel; what is read or said is found by words, and by pictures that show it."""
    shown: frozenset[Kind] = frozenset({"image"})
    routes = [Route("visual", seen, SEEN), Route("sound", heard, HEARD)]
    for channel in READ:
        routes += [Route(channel, read, WORDS), Route(channel, seen, shown)]
    return ModelSet(name, tuple(routes), EVERY, transcriber)


SETS = MappingProxyType(
    {
        # Its main branch has the weights as pickles only. The revision with safetensors is the one that the examples of
        # StarlightSearch/EmbedAnything load.
        "clip": _of_parts(
            "clip",
            seen="dual:openai/clip-vit-base-patch32@refs/pr/15",
            heard="dual:laion/clap-htsat-unfused",
            read="sentence:sentence-transformers/all-MiniLM-L6-v2",
            transcriber="faster-whisper:base",
        ),
        "mini": ModelSet(
            "mini",
            tuple(Route(channel, "mini", ALL) for channel in get_args(Channel)),
            EVERY,
            "tiny.en",
        ),
        "siglip": _of_parts(
            "siglip",
            seen="dual:google/siglip2-base-patch16-224",
            heard="dual:laion/larger_clap_general",
            read="sentence:sentence-transformers/all-mpnet-base-v2",
            transcriber="faster-whisper:turbo",
        ),
    }
)


def model_set(models: str | ModelSet) -> ModelSet:
    """Look up a set by name; a set of your own passes through, and one encoder that takes words and pictures is a set.

    Such an encoder is `dual:CHECKPOINT`, with a hub id or a folder, or `module:Class`. Raises InputError.
    """
    if isinstance(models, ModelSet):
        return models
    if not isinstance(models, str):
        raise InputError(f"Models are a name or a ModelSet, not {models!r}.")
    if models in SETS:
        return SETS[models]
    if ":" not in models:
        raise InputError(
            f"There is no model set {models!r}. Choose one of: {', '.join(SETS)}; or name one checkpoint: "
            "dual:HUB/ID or dual:./FOLDER. A library of a ModelSet of your own is opened in Python, with models=..."
        )
    models = absolute(models)
    return ModelSet(models, (Route("visual", models, SEEN), Route("text", models, SEEN)))


def absolute(name: str) -> str:
    """A name as it is remembered, with the whole of a path in it: a library may be opened from elsewhere."""
    kind, colon, which = name.partition(":")
    if not which.startswith((".", "~")) and not Path(which).is_absolute():
        return name
    with suppress(RuntimeError):  # nobody of that name has a home
        which = str(Path(which).expanduser())
    return f"{kind}{colon}{Path(which).resolve()}"
