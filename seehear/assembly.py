"""What a library is put together from: encoders and store, by name or as objects of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seehear.contracts import Encoder, Store, Transcriber
from seehear.errors import EncoderError, InputError
from seehear.ledger import Ledger
from seehear.passport import Passport, Watched
from seehear.presets import ModelSet
from seehear.registry import build, load
from seehear.types import Needs, Route


def watched(models: ModelSet, given: Mapping[str, Encoder | str], passport: Passport) -> dict[Route, Encoder]:
    """The encoder of each route, made to prove that it is the library's. Raises InputError, ModelMismatch."""
    names = list(dict.fromkeys(route.encoder for route in models.routes))
    if unknown := sorted(set(given) - set(names)):
        raise InputError(f"The models {models.name!r} have no encoder {unknown[0]!r}; they have {', '.join(names)}.")
    made: dict[str, Encoder] = {}
    for name in names:
        chosen = given.get(name) or passport.pinned(name)
        encoder = build(chosen) if isinstance(chosen, str) else chosen
        lacks = next((one for one in ("embed", "takes") if not _has(encoder, one)), None)
        if lacks or isinstance(encoder, type):
            what = f"it has no {lacks}" if lacks else "it is a class, not one of its objects"
            raise InputError(f"{chosen!r} is no encoder: {what} (see seehear/contracts.py).")
        made[name] = Watched(encoder, name, passport)
    for route in models.routes:
        try:
            takes = made[route.encoder].takes
        except EncoderError:
            continue  # a model that is gone is missed when it is needed
        if not route.answers <= takes:
            raise InputError(
                f"{route.encoder} takes {' and '.join(sorted(takes))}, but the models {models.name!r} are to be asked "
                f"with {' and '.join(sorted(route.answers))}."
            )
    return {route: made[route.encoder] for route in models.routes}


def _has(encoder: Any, name: str) -> bool:
    try:
        return hasattr(encoder, name)
    except EncoderError:  # what a model takes that is gone nobody knows
        return True


def transcriber(models: ModelSet, given: str | Transcriber | None, remembered: str | None) -> Transcriber | None:
    """Who writes down what is said: what is asked for now, or before, or the set's own. Raises InputError."""
    chosen = given or remembered or models.transcriber
    made = build(chosen) if isinstance(chosen, str) else chosen
    if made is not None and (isinstance(made, type) or not hasattr(made, "transcribe")):
        raise InputError(f"{chosen!r} is no transcriber (see seehear/contracts.py).")
    return made


def needs(encoders: Mapping[Route, Encoder], *, speech: bool) -> Needs:
    """What the encoders want contents to be, all together; `speech` if there is somebody to write it down."""
    seen = {encoder.needs for route, encoder in encoders.items() if route.channel == "visual"}
    sizes = [one.pixels for one in seen if one.pixels is not None]
    # What suits one network best is no use to another: then each gets pictures that it can make its own of.
    pixels = max(sizes, default=None) if len(sizes) == len(seen) else None
    heard = [encoder.needs for route, encoder in encoders.items() if route.channel == "sound"]
    # Passages are cut for those who read them best; who takes less of a text has to cut it himself.
    read = [
        encoder.needs for route, encoder in encoders.items()
        if route.channel in ("text", "speech") and "text" in route.answers and encoder.needs.tokens
    ]  # fmt: skip
    shortest = min(read, key=lambda one: one.tokens or 0, default=Needs())
    return Needs(
        pixels=pixels,
        square=len(seen) == 1 and next(iter(seen)).square,
        rate=max((one.rate for one in heard if one.rate), default=None),
        window=min((one.window for one in heard), default=Needs().window),
        speech=speech and any(route.channel == "speech" for route in encoders),
        tokens=shortest.tokens,
        tokenizer=shortest.tokenizer,
    )


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
