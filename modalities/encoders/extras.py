"""Packages of optional extras: which one is missing, and the line that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seehear.errors import MissingExtra


@contextmanager
def extra(name: str, *packages: str) -> Iterator[None]:
    """Say which package of an extra is not installed; an error inside a package stays what it is."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in packages:
            raise
        raise MissingExtra(f'The package {error.name} is not installed: pip install "seehear[{name}]"') from error
