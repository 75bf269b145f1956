"""Model sets as data: which encoder serves which route. A set is listed only if a test runs it."""

from __future__ import annotations

from dataclasses import dataclass
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

SETS = MappingProxyType(
    {
        "mini": ModelSet("mini", (Route("visual", "mini", _ASKED),)),
    }
)


def model_set(models: str | ModelSet) -> ModelSet:
    """Look up a set by name; a set of your own passes through. Raises InputError for an unknown name."""
    if isinstance(models, ModelSet):
        return models
    if models not in SETS:
        raise InputError(f"There is no model set {models!r}. Choose one of: {', '.join(SETS)}.")
    return SETS[models]
