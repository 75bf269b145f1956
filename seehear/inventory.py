"""What a library holds, and what made it, as plain values for people and programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from seehear.migration import under_way
from seehear.parts import Parts
from seehear.words import NAME as WORDS


def inventory(folder: Path, parts: Parts) -> dict[str, Any]:
    """Everything that `seehear info` tells."""
    ledger, models = parts.ledger, parts.models
    sources = ledger.sources()
    return {
        "library": str(folder),
        "store": ledger.passport()["store"],
        "models": models.name,
        "routes": [
            {"channel": route.channel, "encoder": route.encoder, "asked_by": sorted(route.answers)}
            for route in models.routes
        ]
        + [
            {"channel": channel, "encoder": WORDS, "asked_by": ["text"]}
            for channel in dict.fromkeys(r.channel for r in models.routes if r.channel in ("speech", "text"))
        ],
        "transcriber": parts.transcriber.name if parts.transcriber else None,
        "encoders": {route.encoder: parts.passport.fingerprint(route.encoder) for route in parts.encoders},
        "migration": under_way(folder),
        "files": len(sources) - ledger.lost(),
        "segments": sum(ledger.counts().values()),
        "problems": [asdict(problem) for problem in ledger.problems()],
        "folders": {name: str(path) for name, path in ledger.roots().items()},
        "sources": [source.key for source in sources],
    }
