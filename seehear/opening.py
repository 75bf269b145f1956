"""How a library is opened: its folder is taken, its ledger looked at, its models and its store put together."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seehear import assembly
from seehear.custody import Custody
from seehear.errors import InputError, LibraryError, LibraryInUse
from seehear.folders import LEDGER
from seehear.ledger import Ledger
from seehear.parts import Chosen, Parts, assemble
from seehear.passport import remembered
from seehear.place import Place
from seehear.presets import ModelSet, model_set

DEFAULT_MODELS, DEFAULT_STORE = "mini", "chroma"


@dataclass(frozen=True, slots=True)
class Opened:
    """A library's folder and ledger in our hands, and what works with them."""

    place: Place
    custody: Custody
    parts: Parts
    chosen: Chosen


def opened(
    path: str | os.PathLike[str],
    models: str | ModelSet | None,
    store: Any,
    *,
    create: bool,
    repair: bool,
    **chosen: Any,
) -> Opened:
    """Open a library, or make one; the arguments are those of `Library.open`, and so are the errors."""
    place = Place(path, create=create)
    folder, custody, taken = place.folder, Custody(place.folder), False
    try:
        custody.take(repair=repair)
        taken = True
        held = remembered(folder)
        where = store or held.get("store") or DEFAULT_STORE
        if store is None and where.startswith(assembly.OWN):
            raise InputError(f"The vectors of {folder} are in {where}; open it with store=.")
        alone = place.share() if assembly.is_server(where) else True
        if not alone and where != held.get("store"):
            # Whether the vectors are there can only be told while nobody changes them.
            raise LibraryInUse(
                f"Another process is changing {folder}, with its vectors in {held.get('store')}. To open it with "
                f"{where}, wait until that has ended."
            )
        said = Chosen(model_set(models or held.get("models") or DEFAULT_MODELS), **chosen)
        # What is forgotten at the end must not be remembered by half.
        ledger = Ledger(Path(":memory:") if assembly.forgets(where) else folder / LEDGER, said.models.routes)
        try:
            parts = assemble(
                folder, ledger, lambda: assembly.opened(where, folder, ledger, repair=repair),
                assembly.store_name(where), said, alone=alone, repair=repair,
            )  # fmt: skip
        except BaseException:
            ledger.close()
            raise
        custody.opened(ledger)
        place.opened()
    except BaseException as error:
        if taken and not place.shared:
            custody.close()  # it was opened for nothing, and is what it was
        place.release()
        if isinstance(error, OSError):
            raise LibraryError(
                f"{error.filename or folder} cannot be used: {error.strerror or error}. Check permissions and disk."
            ) from error
        raise
    return Opened(place, custody, parts, said)
