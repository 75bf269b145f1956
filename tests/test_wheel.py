"""The built wheel holds every module and data file of the tree."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOMES = {"seehear": "seehear"} | {folder: f"seehear/{folder}" for folder in ("integrations", "modalities", "stores")}


def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    # With the setuptools that is here: an isolated build would download one.
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    tree = tmp_path / "tree"
    for name in ("pyproject.toml", "README.md", "LICENSE", *HOMES):
        _copy(ROOT / name, tree / name)
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {
        f"{home}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, home in HOMES.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == wanted
    assert "seehear/py.typed" in held
    assert "seehear/modalities/encoders/mini.safetensors" in held


def _copy(source: Path, target: Path) -> None:
    """Copy what git would hold, so that building writes nothing into the tree."""
    if source.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        return
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            _copy(path, target / path.relative_to(source))
