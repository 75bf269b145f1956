"""The nearest rows of one collection that are published, and that a filter lets through."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from seehear.ledger import Ledger
from seehear.types import Collection, Match
from seehear.where import Condition

SPARE = 8
"""Matches asked for beyond k, for rows that turn out not to be published."""
COMMON, MARGIN, MOST = 0.05, 1.5, 2_000
"""From this share on a filter is applied to what was found: so many times more is asked for, up to so many matches."""

Nearest = Callable[[int, Sequence[str] | None], list[Match]]
"""Asks one collection for the k nearest, of all or of some ids."""


def shortlist(
    ledger: Ledger, nearest: Nearest, collection: Collection, k: int, condition: Condition | None
) -> list[Match]:
    """The k nearest that a filter lets through, best first. Raises QueryError for a filter that makes no sense."""
    if condition is None:
        return _published(ledger, nearest, k)
    selection = ledger.selection
    share = selection.share(collection, condition)
    if share >= COMMON and (more := math.ceil((k + SPARE) / share * MARGIN)) <= MOST:
        # Much passes, so it is among the nearest too: that is cheaper than naming to the store all that may pass.
        matches = nearest(more, None)
        passing = selection.passing([match.id for match in matches], condition)
        there = _there(ledger, [match for match in matches if match.id in passing][: k + SPARE])
        if len(there) >= k:
            return there[:k]
    return _published(ledger, nearest, k, selection.ids(collection, condition))


def _published(ledger: Ledger, nearest: Nearest, k: int, among: Sequence[str] | None = None) -> list[Match]:
    """The k nearest that are published; rows of files that are on their way in or out do not count."""
    asked = k + SPARE
    while True:
        matches = nearest(asked, among)
        there = _there(ledger, matches)
        if len(there) >= k or len(matches) < asked:
            return there[:k]
        asked *= 2


def _there(ledger: Ledger, matches: Sequence[Match]) -> list[Match]:
    published = ledger.published([match.id for match in matches])
    return [match for match in matches if match.id in published]
