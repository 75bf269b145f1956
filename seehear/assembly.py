"""What a library is put together from: encoders and store, by name or as objects of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seehear.contracts import Encoder, Store
from seehear.errors import InputError
from seehear.ledger import Ledger
from seehear.passport import Passport, Watched
from seehear.presets import ModelSet
from seehear.registry import build, load
from seehear.types import Route


def watched(models: ModelSet, given: Mapping[str, Encoder | str], passport: Passport) -> dict[Route, Encoder]:
    """The encoder of each route, made to prove that it is the library's. Raises InputError, ModelMismatch."""
    names = list(dict.fromkeys(route.encoder for route in models.routes))
    if unknown := sorted(set(given) - set(names)):
        raise InputError(f"The models {models.name!r} have no encoder {unknown[0]!r}; they have {', '.join(names)}.")
    made: dict[str, Encoder] = {}
    for name in names:
        chosen = given.get(name) or passport.pinned(name)
        encoder = build(chosen) if isinstance(chosen, str) else chosen
        lacks = [one for one in ("embed", "takes") if not hasattr(encoder, one)]
        if lacks or isinstance(encoder, type):
            what = f"it has no {lacks[0]}" if lacks else "it is a class, not one of its objects"
            raise InputError(f"{chosen!r} is no encoder: {what} (see seehear/contracts.py).")
        made[name] = Watched(encoder, name, passport)
    for route in models.routes:
        if not route.answers <= (takes := made[route.encoder].takes):
            raise InputError(
                f"{route.encoder} takes {' and '.join(sorted(takes))}, but the models {models.name!r} are to be asked "
                f"with {' and '.join(sorted(route.answers))}."
            )
    return {route: made[route.encoder] for route in models.routes}


def forgets(store: Any) -> bool:
    """Whether nothing of it is there another time: then the ledger must not remember either."""
    return bool(store == "memory" if isinstance(store, str) else getattr(store, "forgets", False))


def store_name(store: Any) -> str:
    """How the passport calls a store."""
    return store if isinstance(store, str) else f"your own {type(store).__name__}"


def opened(store: Any, folder: Path, ledger: Ledger) -> Store:
    """The store that was asked for: a name, a Chroma client, or a Store. Raises InputError."""
    made = load(store)(folder / store) if isinstance(store, str) else store
    if hasattr(made, "get_or_create_collection") and not isinstance(made, type):
        made = load("chroma").over(made, ledger.name())
    if isinstance(made, type) or not isinstance(made, Store):
        raise InputError(f"A store is a name, a Chroma client or a Store, not {store!r}.")
    return made
