"""Cross-modal retrieval for RAG pipelines and agents: ask in words or with a picture, get the picture that answers."""

from typing import TYPE_CHECKING, Any

from seehear.errors import SeehearError
from seehear.types import Query

if TYPE_CHECKING:
    from seehear.blocks import Budget
    from seehear.hits import Hit, Hits
    from seehear.library import Library
    from seehear.media import Limits
    from seehear.presets import ModelSet
    from seehear.retrieve import Retriever

__all__ = ["Budget", "Hit", "Hits", "Library", "Limits", "ModelSet", "Query", "Retriever", "SeehearError"]

_HOMES = {
    "Budget": "blocks",
    "Hit": "hits",
    "Hits": "hits",
    "Library": "library",
    "Limits": "media",
    "ModelSet": "presets",
    "Retriever": "retrieve",
}


def __getattr__(name: str) -> Any:
    """Import what opens files and libraries when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'seehear' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"seehear.{_HOMES[name]}"), name)
