"""Segments that wait for their vectors: batches by route, across files, embedded and stored as they fill."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seehear.brought import Brought
from seehear.contracts import Encoder, Store
from seehear.draft import Draft
from seehear.errors import SeehearError
from seehear.ledger import Ledger
from seehear.types import Collection, Content, Route, Segment, Waveform

BATCH = 64
"""Segments per call of an encoder and of the store: past this neither gets faster."""
SOUND = 16 << 20
"""Bytes of sound that may wait on a route: at 48 kHz a minute and a half."""

Waiting = tuple[Draft, Segment, Content]
Donor = Callable[[Collection, Sequence[Segment]], dict[str, NDArray[np.float32]]]
"""Gives the vectors that there are of some segments, (dim,), by their ids."""


class Batches:
    """What waits on each route. A file knows how many of its vectors are still to be stored (`Draft.waiting`)."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        encoders: Mapping[Route, Encoder],
        brought: Brought | None = None,
        donor: Donor | None = None,
    ) -> None:
        self.ledger, self.store, self.encoders, self.brought, self.donor = ledger, store, encoders, brought, donor
        self.embedded = 0
        """Contents that went through an encoder."""
        self._waiting: dict[Route, list[Waiting]] = {route: [] for route in encoders}

    def put(self, draft: Draft, segment: Segment, content: Content) -> None:
        """Let a segment wait on each route of its channel; what fills a batch is embedded and stored at once."""
        for route, batch in self._waiting.items():
            if route.channel == segment.channel:
                draft.waiting += 1
                batch.append((draft, segment, content))
                heard = content.samples.nbytes * len(batch) if isinstance(content, Waveform) else 0
                if len(batch) >= BATCH or heard >= SOUND:
                    self._embed(route)

    def flush(self) -> None:
        """Embed and store everything that waits."""
        for route in self.encoders:
            self._embed(route)

    def drop(self, draft: Draft) -> None:
        """Forget what waits of a file that turned out to be broken."""
        for route, batch in self._waiting.items():
            self._waiting[route] = [item for item in batch if item[0] is not draft]

    def copy(self, draft: Draft, ids: Mapping[str, str]) -> bool:
        """Give a file's segments the vectors that others have: other id -> id; False if one is gone."""
        for route in self.encoders:
            mine = {segment.id: segment for segment in draft.segments if segment.channel == route.channel}
            theirs = [other for other, name in ids.items() if name in mine]
            if not mine:
                continue
            collection = Collection(route.encoder, route.channel, next(iter(mine.values())).modality)
            vectors = self.store.get(collection, theirs)
            if not len(mine) == len(theirs) == len(vectors):
                return False
            self._upsert(collection, [mine[ids[other]] for other in theirs], np.stack([vectors[o] for o in theirs]))
        return True

    def _embed(self, route: Route) -> None:
        batch, self._waiting[route] = self._waiting[route], []
        for modality in dict.fromkeys(segment.modality for _, segment, _ in batch):
            part = self._left(Collection(route.encoder, route.channel, modality), batch)
            kept, rows = self._vectors(route, part) if part else ([], None)
            if rows is not None:
                self._upsert(Collection(route.encoder, route.channel, modality), [item[1] for item in kept], rows)
            self.embedded += 0 if self.brought else len(kept)
        for draft, _, _ in batch:
            draft.waiting -= 1

    def _left(self, place: Collection, batch: list[Waiting]) -> list[Waiting]:
        """Those of a batch that belong to a collection, less those whose vectors somebody has already."""
        part = [item for item in batch if item[1].modality == place.modality]
        given = self.donor(place, [segment for _, segment, _ in part]) if self.donor else {}
        if given:
            have = [segment for _, segment, _ in part if segment.id in given]
            self._upsert(place, have, np.stack([given[segment.id] for segment in have]))
        return [item for item in part if item[1].id not in given]

    def _upsert(self, collection: Collection, segments: Sequence[Segment], rows: NDArray[np.float32]) -> None:
        self.ledger.garbage.intend(collection, [segment.id for segment in segments])
        self.store.upsert(collection, segments, rows)

    def _vectors(self, route: Route, batch: list[Waiting]) -> tuple[list[Any], Any]:
        encoder = self.encoders[route]
        if self.brought:
            return batch, self.brought.rows([draft.file.path for draft, _, _ in batch])
        contents = [content for _, _, content in batch]
        try:
            if np.isfinite(rows := encoder.embed(contents, "document")).all():
                return batch, rows
            raise ValueError("its vector holds no numbers")
        except SeehearError:
            raise  # weights that are missing will be missing for the next batch too
        except Exception as error:
            if len(batch) == 1:
                batch[0][0].broken[route] = f"{route.encoder} could not embed it: {error!r}"
                return [], None
        # One bad content must not take the rest of its batch along: each gets a try of its own.
        singles = [self._vectors(route, [item]) for item in batch]
        good = [(kept[0], rows) for kept, rows in singles if kept]
        return [item for item, _ in good], np.concatenate([rows for _, rows in good]) if good else None
