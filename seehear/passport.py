"""What a library was made with, so that vectors of different models never meet.

Fingerprints are compared when a library is opened. Before the first vector of a kind is used, the encoder has to make
of a few fixed contents what it made of them when the library was young: that also catches what no fingerprint says.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.canary import CLOSE, contents, likeness
from seehear.contracts import Encoder
from seehear.errors import EncoderError, InputError, ModelMismatch, SeehearError
from seehear.folders import LEDGER
from seehear.ledger import Ledger
from seehear.presets import ModelSet
from seehear.registry import ENTRIES
from seehear.types import Content, Kind, Needs, Role

ORIGIN = ("model", "revision")
"""Entries of a fingerprint that say where weights came from, not what they are."""
TOLD = 3
"""Differences that an error names; where that many differ, everything does."""


def remembered(folder: Path) -> dict[str, str]:
    """What a library was made with, without taking it for granted that one exists."""
    if not (folder / LEDGER).exists():
        return {}
    ledger = Ledger(folder / LEDGER, ())
    try:
        return ledger.passport()
    finally:
        ledger.close()


class Passport:
    """The library's models and where its vectors are, as it was made."""

    def __init__(self, folder: Path, ledger: Ledger, models: ModelSet, store: str, *, alone: bool = True) -> None:
        """Compare set and store with those of this run. Raises ModelMismatch, InputError.

        What an empty library says of its models is forgotten, if we are `alone`: nothing was made with them, and a
        first try that failed must not bind the next.
        """
        self._folder, self._ledger = folder, ledger
        self._now = {"models": models.name, "store": store}
        self._lock = Lock()
        held = ledger.passport()
        if alone and ledger.empty():
            ledger.forget([name for name in held if name.startswith("encoder ")])
            ledger.kept.drop()
        elif held.get("models", models.name) != models.name:
            raise ModelMismatch(
                f"{folder} was made with the models {held['models']!r}, not {models.name!r}; their vectors cannot be "
                "compared. Open it without naming models, or make another library."
            )
        elif held.get("store", store) != store and not (_url(store) and _url(held["store"])):
            raise InputError(f"The vectors of {folder} are in the store {held['store']!r}, not {store!r}; open it so.")

    def stamp(self, more: Mapping[str, str]) -> None:
        """Remember set and store, now that both could be opened, and what else was chosen."""
        held = self._ledger.passport()
        now = {**self._now, "folder": str(self._folder), **more}
        if any(held.get(name) != value for name, value in now.items()):  # nothing is written where nothing is new
            self._ledger.stamp(now)

    def pinned(self, spec: str) -> str:
        """The very revision that the library was made with, though a branch of the hub may have moved on."""
        revision = self.fingerprint(spec).get("revision")
        entry = ENTRIES.get(spec.partition(":")[0])
        # Only what names a checkpoint can name its revision; a class of the user's own may have one all the same.
        return f"{spec.partition('@')[0]}@{revision}" if revision and entry and entry.argument else spec

    def fingerprint(self, spec: str) -> dict[str, str]:
        """What is known of the encoder that the library was made with; empty before its first load."""
        found: dict[str, str] = self._read(spec).get("fingerprint", {})
        return found

    def compare(self, spec: str, now: Mapping[str, str]) -> None:
        """Compare an encoder with the one that made the library; the first is stamped. Raises ModelMismatch."""
        before = self.fingerprint(spec)
        differ = [name for name in {**before, **now} if name not in ORIGIN and before.get(name) != now.get(name)]
        if not now or (before and not differ):
            return
        if not before:
            self._write(spec, {"fingerprint": dict(now)})
            return
        listed = [f"{name}: {_short(before.get(name))} then, {_short(now.get(name))} now" for name in differ[:TOLD]]
        what = "; ".join(listed + ([f"and {len(differ) - TOLD} more"] if len(differ) > TOLD else []))
        raise self._mismatch(spec, before, now, what)

    def prove(self, spec: str, kind: Kind, rows: NDArray[np.float32], now: Mapping[str, str]) -> None:
        """Compare what an encoder makes of the fixed contents with what it made then. Raises ModelMismatch."""
        with self._lock:
            self.compare(spec, now)
            held = self._read(spec).get("canaries", {})
            if kind not in held:
                packed = base64.b64encode(rows.astype("<f4").tobytes()).decode()
                self._write(spec, {"canaries": {**held, kind: packed}})
                return
            before = np.frombuffer(base64.b64decode(held[kind]), "<f4")
            cosine = likeness(rows, before.reshape(len(rows), -1)) if before.size == rows.size else 0.0
            if cosine < CLOSE:
                what = f"the same {kind} now gets another vector (cosine {cosine:.3f})"
                raise self._mismatch(spec, self.fingerprint(spec), now, what)

    def _mismatch(self, spec: str, before: Mapping[str, str], now: Mapping[str, str], what: str) -> ModelMismatch:
        return ModelMismatch(
            f"{self._folder} was made with another {spec} ({_origin(before)}; here {_origin(now)}): {what}. Vectors of "
            "the two cannot be compared. Use the model it was made with, or make a new library from your files."
        )

    def _read(self, spec: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._ledger.passport().get(f"encoder {spec}", "{}"))
        return found

    def _write(self, spec: str, more: Mapping[str, Any]) -> None:
        self._ledger.stamp({f"encoder {spec}": json.dumps({**self._read(spec), **more})})


class Watched:
    """An encoder that has to prove itself, once for each kind of content, before a vector of it is used."""

    def __init__(self, encoder: Encoder, spec: str, passport: Passport) -> None:
        with suppress(EncoderError):  # a model that is gone is missed when it is needed; until then there is much to do
            passport.compare(spec, encoder.fingerprint)
        self._encoder, self._spec, self._passport = encoder, spec, passport
        self._proved: set[Kind] = set()
        self._lock = Lock()

    @property
    def name(self) -> str:
        return self._encoder.name

    @property
    def dim(self) -> int:
        return self._encoder.dim

    @property
    def takes(self) -> frozenset[Kind]:
        return self._encoder.takes

    @property
    def needs(self) -> Needs:
        return self._encoder.needs

    @property
    def fingerprint(self) -> Mapping[str, str]:
        return self._encoder.fingerprint

    def embed(self, given: Sequence[Content], role: Role) -> NDArray[np.float32]:
        """Embed, once it is proved that the encoder is the library's: ModelMismatch, EncoderError."""
        for kind in {content.kind for content in given} - self._proved:
            with self._lock:
                if kind not in self._proved:
                    self._prove(kind)
        rows = np.asarray(self._encoder.embed(given, role))
        if rows.shape != (len(given), self.dim):
            what = f"{self._spec} gave an array {rows.shape} for {len(given)} contents of {self.dim} numbers"
            # Of many documents it may be one that it fails on: whoever adds them tries each by itself.
            raise ValueError(what) if role == "document" else EncoderError(f"{what}.")
        return rows

    def _prove(self, kind: Kind) -> None:
        fixed = contents(kind)
        try:
            rows = np.asarray(self._encoder.embed(fixed, "query"))
        except SeehearError:
            raise
        except Exception as error:  # whatever fails on fixed contents would be blamed on a file later
            raise EncoderError(f"{self._spec} cannot embed a simple {kind}: {error!r}.") from error
        lengths = np.linalg.norm(rows, axis=1) if rows.ndim == 2 and len(rows) else np.zeros(1)
        if rows.shape != (len(fixed), self._encoder.dim) or not np.allclose(lengths, 1, atol=1e-3):
            raise EncoderError(
                f"{self._spec} gave an array {rows.shape} with rows of length {lengths.min():.3f} to "
                f"{lengths.max():.3f} for {len(fixed)} contents; expected ({len(fixed)}, "
                f"{self._encoder.dim}), unit rows."
            )
        self._passport.prove(self._spec, kind, rows, self._encoder.fingerprint)
        self._proved.add(kind)


def told(fingerprint: Mapping[str, str]) -> str:
    """A fingerprint as a line for people."""
    return "; ".join(f"{name} {_short(value)}" for name, value in fingerprint.items())


def _url(store: str) -> bool:
    """A server may have moved."""
    return "://" in store


def _origin(fingerprint: Mapping[str, str]) -> str:
    said = [f"{name} {_short(fingerprint[name])}" for name in ORIGIN if name in fingerprint]
    return ", ".join(said) or "no model named"


def _short(value: str | None) -> str:
    """Hashes are told by their first digits."""
    if value is None:
        return "not there"
    return f"{value[:12]}…" if len(value) >= 40 and all(c in "0123456789abcdef" for c in value) else value
