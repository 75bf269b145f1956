"""Model sets as data: which encoder serves which route. A set is listed only if a test runs it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from seehear.errors import InputError
from seehear.types import Kind, Route


@dataclass(frozen=True, slots=True)
class ModelSet:
    """The models of a library: chosen when it is made, and remembered."""

    name: str
    routes: tuple[Route, ...]
    modalities: tuple[str, ...] = ("image",)
    """Names of the modalities that cut files into segments."""


_ASKED: frozenset[Kind] = frozenset({"text", "image"})


def _seen_by(name: str, encoder: str) -> ModelSet:
    return ModelSet(name, (Route("visual", encoder, _ASKED),))


SETS = MappingProxyType(
    {
        # Its main branch has the weights as pickles only. The revision with safetensors is the one that the examples of
        # StarlightSearch/EmbedAnything load.
        "clip": _seen_by("clip", "dual:openai/clip-vit-base-patch32@refs/pr/15"),
        "mini": _seen_by("mini", "mini"),
        "siglip": _seen_by("siglip", "dual:google/siglip2-base-patch16-224"),
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
    kind, colon, which = models.partition(":")
    if not colon:
        raise InputError(
            f"There is no model set {models!r}. Choose one of: {', '.join(SETS)}; or name one checkpoint: "
            "dual:HUB/ID or dual:./FOLDER. A library of a ModelSet of your own is opened in Python, with models=..."
        )
    if which.startswith((".", "~")) or Path(which).is_absolute():
        # A library remembers this name, and may be opened from elsewhere.
        with suppress(RuntimeError):  # nobody of that name has a home
            which = str(Path(which).expanduser())
        models = f"{kind}:{Path(which).resolve()}"
    return _seen_by(models, models)
