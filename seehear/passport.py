"""What a library was made with: compared at every opening, so that vectors of different models never meet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from seehear.contracts import Encoder
from seehear.errors import ModelMismatch
from seehear.folders import LEDGER
from seehear.ledger import Ledger
from seehear.presets import ModelSet


def remembered(folder: Path) -> str | None:
    """Name of the set that a library was made with, without taking it for granted that one exists."""
    if not (folder / LEDGER).exists():
        return None
    ledger = Ledger(folder / LEDGER, ())
    try:
        return ledger.passport().get("models")
    finally:
        ledger.close()


def check(folder: Path, ledger: Ledger, models: ModelSet, encoders: Mapping[str, Encoder]) -> None:
    """Compare the library's models with those of this run; a new library is stamped. Raises ModelMismatch."""
    held = ledger.passport()
    if held.get("models", models.name) != models.name:
        raise ModelMismatch(
            f"{folder} was made with the models {held['models']!r}, not {models.name!r}; their vectors cannot "
            f"be compared. Open it without naming models, or make another library."
        )
    prints = json.dumps({name: encoder.fingerprint for name, encoder in encoders.items()}, sort_keys=True)
    if "models" not in held:
        ledger.stamp({"models": models.name, "fingerprints": prints})
    elif held["fingerprints"] != prints:
        before: dict[str, str] = json.loads(held["fingerprints"])
        changed = [name for name, encoder in encoders.items() if before.get(name) != encoder.fingerprint]
        raise ModelMismatch(
            f"{folder} was made with other weights or settings of {', '.join(changed) or 'its models'}; vectors of the "
            "two cannot be compared. Install the version it was made with, or make a new library from your files."
        )
