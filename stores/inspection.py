"""Looks at the files of an embedded Chroma that was not closed, in a process that nobody needs.

A truncated index can crash whoever opens it (chroma-core/chroma#7238). Run as `python -m seehear.stores.inspection
FOLDER`; the exit status is 0 where every vector could be read, and some of each collection found themselves.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import chromadb
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.config import Settings
from chromadb.errors import ChromaError

from seehear.errors import LibraryError

PAGE = 1000
"""Rows that are read at a time."""
PROBES = 50
"""Vectors of each collection that are to find themselves."""
TOLERATED = 0.1
"""Share of them that may not: the graph is approximate, and of a thousand equal vectors it may lose some."""


def embedded(folder: Path) -> Any:
    """A client of the files in a folder."""
    try:
        return chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    except BaseException:
        # Chroma would give what could not be started to whoever opens the folder next.
        SharedSystemClient._identifier_to_system.pop(str(folder), None)
        raise


def fault(folder: Path) -> str | None:
    """What is wrong with the files, as another process sees it; None if nothing is."""
    child = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-P", "-m", "seehear.stores.inspection", str(folder)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if not child.returncode:
        return None
    return (child.stderr.strip().splitlines() or [f"who looked at it ended with {child.returncode}"])[-1]


def inspect(folder: Path) -> None:
    """Read every vector, and let some find themselves. May crash the process. Raises LibraryError, and Chroma's own."""
    client = embedded(folder)
    for collection in client.list_collections():
        held = collection.count()
        probes: list[tuple[str, Any]] = []
        every = collection.get(include=[])["ids"]  # by pages each would be looked for from the beginning
        if len(every) != held:
            raise LibraryError(f"{collection.name} counts {held} rows and holds {len(every)}")
        for start in range(0, held, PAGE):
            ids = every[start : start + PAGE]
            page = collection.get(ids=ids, include=["embeddings"])
            vectors = page["embeddings"]
            if vectors is None or len(vectors) != len(ids):
                raise LibraryError(f"vectors are missing from {collection.name}")
            probes += list(zip(page["ids"], vectors, strict=True))[:: max(1, held // PROBES)]
        lost = []
        for name, vector in probes:
            near = collection.query(query_embeddings=vector[None, :], n_results=1, include=["distances"])
            if not near["ids"][0] or (near["distances"] or [[1.0]])[0][0] > 1e-3:
                lost.append(name)
        if len(lost) > len(probes) * TOLERATED:
            raise LibraryError(f"{len(lost)} of {len(probes)} rows of {collection.name} are not found by their vectors")
    client.close()


if __name__ == "__main__":
    try:
        inspect(Path(sys.argv[1]))
    except (ChromaError, LibraryError, ValueError, TypeError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
