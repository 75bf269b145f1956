"""What a library is put together from: encoders and store, by name or as objects of the user's own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from seehear.contracts import Encoder, Store, Transcriber
from seehear.database import cure
from seehear.era import Era
from seehear.errors import EncoderError, InputError, LibraryDamaged, MissingExtra
from seehear.ledger import Ledger
from seehear.passport import Passport, Watched
from seehear.presets import ModelSet, absolute
from seehear.registry import build, load
from seehear.types import Collection, Modality, Needs, Route

NEXT = "next.sqlite"
FRAMES = {"keyframes": "video", "shots": "shots"}
"""How the frames of videos are chosen, and the modality that does it; the first is the default."""
OWN = "your own "
WATCHING = ("cv2", "scenedetect")
"""Packages that choosing frames needs; those who do not watch videos need none."""


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
    """Who writes down what is said: what is asked for now, or before, or the set's own.

    A name is remembered, so one that is new must be of use before anything is: its packages and its files are looked
    for, or, where they are still to be fetched, whether there is such a model. Raises InputError, MissingExtra.
    """
    chosen = next((one for one in (given, remembered, models.transcriber) if one is not None), None)
    made = build(chosen, "transcriber") if isinstance(chosen, str) else chosen
    if made is not None and (isinstance(made, type) or not hasattr(made, "transcribe")):
        raise InputError(f"{chosen!r} is no transcriber (see seehear/contracts.py).")
    if isinstance(given, str) and absolute(given) != remembered:
        try:
            getattr(made, "fingerprint", None)
        except (InputError, MissingExtra):
            raise
        except EncoderError as error:
            raise InputError(str(error)) from error
        except Exception as error:  # anything may stand behind module:Class
            raise InputError(f"{given} cannot be used: {error!r}.") from error
    return made


def modalities(models: ModelSet, given: str | None, remembered: str | None) -> ModelSet:
    """A set that chooses the frames of videos as is asked for now, or was before. Raises InputError, MissingExtra."""
    chosen = given or remembered or next(iter(FRAMES))
    if chosen not in FRAMES:
        raise InputError(f"Frames are chosen by {' or '.join(FRAMES)}, not by {chosen!r}.")
    if given and "video" not in models.modalities:
        raise InputError(f"The models {models.name!r} look at no videos, by whatever frames.")
    if given and (missing := next((name for name in WATCHING if find_spec(name) is None), None)):
        raise MissingExtra(f'videos need the package {missing}, which is not installed: pip install "seehear[video]"')
    return replace(models, modalities=tuple(FRAMES[chosen] if name == "video" else name for name in models.modalities))


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
        pictures=bool(seen),
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
    return store if isinstance(store, str) else f"{OWN}{type(store).__name__}"


def is_server(store: Any) -> bool:
    """Whether it is the address of a Chroma server, which many processes may use at once."""
    return isinstance(store, str) and store.startswith(("http://", "https://"))


def opened(store: Any, folder: Path, ledger: Ledger, *, repair: bool = False) -> Store:
    """The store that was asked for: a name, the address of a Chroma server, a Chroma client, or a Store.

    With `repair`, one in the library's folder that is damaged is made anew, empty. Raises InputError, LibraryError.
    """
    made = store
    if is_server(store):
        made = load("chroma").at(store, ledger.name())
    elif isinstance(store, str):
        made = load(store)
        try:
            made = made(folder / store)
        except LibraryDamaged:
            if not repair:
                raise
            shutil.rmtree(folder / store)
            made = made(folder / store)
    if hasattr(made, "get_or_create_collection") and not isinstance(made, type):
        made = load("chroma").over(made, ledger.name())
    if isinstance(made, type) or not isinstance(made, Store):
        raise InputError(f"A store is a name, a Chroma server (http://...), a Chroma client or a Store, not {store!r}.")
    return made


def collections(routes: Iterable[Route], modalities: Iterable[Modality]) -> list[Collection]:
    """All that there may be of some routes."""
    return [Collection(route.encoder, route.channel, one) for route, one in product(routes, modalities)]


def drop(store: Store, ledger: Ledger, folder: Path) -> None:
    """Remove the collections of an era that is over, and what the next was made in."""
    number, *places = json.loads(ledger.passport()["dropping"])
    for place in places:
        Era(store, number).drop(Collection(*place))
    for name in (NEXT, f"{NEXT}-wal", f"{NEXT}-shm"):
        (folder / name).unlink(missing_ok=True)
    ledger.forget(["dropping"])


def agree(ledger: Ledger, store: Store, held: Sequence[Collection], folder: Path, *, tidy: bool = True) -> None:
    """What the ledger says is there must be in the store; the reverse is only waste, unless there is no ledger.

    Raises LibraryDamaged.
    """
    wanted = ledger.counts()
    missing = sum(max(0, n - store.count(collection)) for collection, n in wanted.items())
    if missing:
        what = f"{missing:,} vectors of {folder} are gone"
    elif ledger.empty() and not forgets(store) and any(store.count(collection) for collection in held):
        what = f"The ledger of {folder} is gone"
    else:
        for collection in held if tidy and ledger.empty() else ():
            store.drop(collection)  # it may have been made for vectors of another length
        return
    raise LibraryDamaged(f"{what}. {cure(folder)}")
