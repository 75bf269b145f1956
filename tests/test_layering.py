"""Who may know whom. A room that is not in the table fails the test, so that it gets a place."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
# From the ground up: a room may import rooms of lower floors, and of its own floor.
FLOORS = [
    {"types", "errors", "wording"},
    {"calibration", "canary", "contracts", "metadata", "records", "seal"},
    {
        "clip",
        "confinement",
        "container",
        "era",
        "encoded",
        "frames",
        "handle",
        "media",
        "sidecar",
        "packets",
        "looking",
        "picture",
        "registry",
        "still",
        "timeline",
        "track",
        "where",
    },
    {"asked", "brought", "clock", "database", "decoder", "pool", "together", "viewing", "worker"},
    {"audit", "backup", "garbage", "kept", "speech", "words"},
    {"blocks", "evaluate", "grounding", "hits", "ledger", "presets", "query", "scales", "scenes", "selection"},
    {
        "batches",
        "changes",
        "draft",
        "due",
        "folders",
        "left",
        "fusion",
        "ingest",
        "passages",
        "recall",
        "shortlist",
        "tally",
    },
    {"custody", "passport", "place", "retrieve"},
    {"assembly", "tools"},
    {"parts"},
    {"inventory", "migration", "opening", "verification"},
    {"library"},
    {"check", "measuring", "serving", "terminal", "upkeep"},
    {"cli"},
]
PLUGINS = {"contracts", "errors", "frames", "media", "picture", "seal", "still", "track", "types"}
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}


def _ours(path: Path) -> set[str]:
    """Rooms of the core that a file imports, at its top or inside a function; relative imports as they stand."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            names = ["." * node.level + (node.module or "")]
            if node.module == "seehear":
                names = [f"seehear.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name for name in names if name.startswith(("seehear", "."))}
    return {name.removeprefix("seehear.") for name in found}


def test_the_core_imports_downwards_only() -> None:
    for path in (ROOT / "seehear").glob("*.py"):
        room = path.stem
        if room in ("__init__", "testing"):
            continue
        assert room in FLOOR, f"give {room} a floor"
        for other in _ours(path):
            assert FLOOR[other] <= FLOOR[room], f"{room} imports {other}, which stands above it"


def test_plugins_know_the_ground_floor_and_their_own_folder() -> None:
    for folder in ("modalities", "stores"):
        for path in (ROOT / folder).rglob("*.py"):
            for other in _ours(path):
                relative = other.startswith(".") and not other.startswith("..")
                assert relative or other in PLUGINS, f"{path.relative_to(ROOT)} imports {other}"


def test_integrations_know_the_core_and_not_the_plugins() -> None:
    for path in (ROOT / "integrations").rglob("*.py"):
        for other in _ours(path):
            own = other.startswith(".") and not other.startswith("..")
            assert own or not other.startswith((".", "modalities", "stores")), (
                f"{path.relative_to(ROOT)} imports {other}"
            )


def test_the_core_names_no_plugin() -> None:
    for path in (ROOT / "seehear").glob("*.py"):
        for other in _ours(path):
            assert not other.startswith(("modalities", "stores", "integrations")), f"{path.stem} imports {other}"


def test_no_room_is_too_long() -> None:
    for folder in ("seehear", "modalities", "stores", "integrations"):
        for path in (ROOT / folder).rglob("*.py"):
            lines = len(path.read_text().splitlines())
            assert lines <= 310, f"{path.relative_to(ROOT)} has {lines} lines: it wants to be two"
