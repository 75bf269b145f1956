"""What a library is made of while it is open: its ledger, its store, and the models of one era at work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seehear import assembly
from seehear.contracts import Encoder, Store, Transcriber
from seehear.due import GiveMetadata
from seehear.era import Era
from seehear.errors import InputError
from seehear.folders import followed
from seehear.ingest import Ingest
from seehear.ledger import Ledger
from seehear.media import Limits
from seehear.passport import Passport
from seehear.pool import Pool
from seehear.presets import ModelSet, absolute
from seehear.scales import Scales
from seehear.speech import Speech
from seehear.tally import Progress
from seehear.together import Together
from seehear.types import Collection, Route


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the user says about the models, each in the place of what the library remembers."""

    models: ModelSet
    encoders: Mapping[str, Encoder | str]
    transcriber: str | Transcriber | None
    frames: str | None
    limits: Limits


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that asks and adds, of one era."""

    ledger: Ledger
    store: Era
    models: ModelSet
    encoders: Mapping[Route, Encoder]
    transcriber: Transcriber | None
    passport: Passport
    pool: Pool
    scales: Scales
    asking: Mapping[Route, Together]

    def ingest(self, metadata: GiveMetadata | None, progress: Progress | None, **parts: Any) -> Ingest:
        """One run of `Library.add` or of one of its sisters."""
        encoders = parts.pop("encoders", self.encoders)
        return Ingest(self.ledger, self.store, self.pool, encoders, metadata, progress, **parts)

    def speech(self, language: str | None) -> Speech | None:
        """Who writes down what is said, if anybody does. Raises InputError for a language that he lacks."""
        if language is not None and self.transcriber is None:
            raise InputError(f"The models {self.models.name!r} write down no speech, in whatever language.")
        return Speech(self.transcriber, language, self.ledger.transcripts) if self.transcriber else None

    def collections(self) -> list[Collection]:
        """All that there may be."""
        return assembly.collections(self.encoders, self.pool.settings)

    def close(self) -> None:
        """Let go of files and processes; the ledger last, which the others need."""
        self.pool.close()
        try:
            self.store.close()
        finally:
            self.ledger.close()


def assemble(
    folder: Path,
    ledger: Ledger,
    store: Callable[[], Store],
    store_name: str,
    chosen: Chosen,
    *,
    alone: bool = True,
    repair: bool = False,
) -> Parts:
    """Put a library together; `store` is opened once the models are known to be its own.

    Unless we are `alone`, nothing is changed that others may be at work with. With `repair`, vectors may be missing.
    Raises LibraryDamaged, ModelMismatch, InputError, MissingExtra.
    """
    remembered = ledger.passport()
    before = remembered.get("folder", str(folder))
    if alone and before != str(folder) and (moved := followed(ledger.roots(), Path(before), folder)):
        ledger.move_roots(moved)
    passport = Passport(folder, ledger, chosen.models, store_name, alone=alone)
    encoders = assembly.watched(chosen.models, chosen.encoders, passport)
    transcriber = assembly.transcriber(chosen.models, chosen.transcriber, remembered.get("transcriber"))
    models = assembly.modalities(chosen.models, chosen.frames, remembered.get("frames"))
    pool = Pool(models.modalities, lambda: assembly.needs(encoders, speech=transcriber is not None), chosen.limits)
    vectors = Era(store(), ledger.counters().get("era", 0))
    try:
        if alone and "dropping" in remembered:
            assembly.drop(vectors.store, ledger, folder)
        if alone and not repair:
            held = assembly.collections(encoders, pool.settings)
            assembly.agree(ledger, vectors, held, folder, tidy=not assembly.is_server(store_name))
        named = {"transcriber": chosen.transcriber, "frames": chosen.frames}
        passport.stamp({name: absolute(value) for name, value in named.items() if isinstance(value, str)})
    except BaseException:
        vectors.close()
        raise
    together = {route.encoder: Together(encoder) for route, encoder in encoders.items()}
    asking = {route: together[route.encoder] for route in encoders}
    scales = Scales(ledger, vectors, encoders)
    return Parts(ledger, vectors, models, encoders, transcriber, passport, pool, scales, asking)
