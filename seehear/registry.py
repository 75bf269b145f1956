"""One table of everything that is chosen by name. Nothing is imported until it is asked for.

A name that is not in the table may be `module:Class` of anyone's.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from seehear.errors import InputError, MissingExtra, SeehearError


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a class is, and what to install when its packages are not there."""

    kind: str
    """What it is: a `modality`, an `encoder`, a `transcriber`, a `store` or a `server`."""
    target: str
    install: str
    argument: str = ""
    """What must be said after a colon, such as which checkpoint."""


ENTRIES = MappingProxyType(
    {
        "audio": Entry("modality", "seehear.modalities.audio:AudioModality", "pip install seehear"),
        "chroma": Entry("store", "seehear.stores.chroma:ChromaStore", "pip install seehear"),
        "dual": Entry("encoder", "seehear.modalities.encoders.dual:Dual", 'pip install "seehear[clip]"', "CHECKPOINT"),
        "faster-whisper": Entry(
            "transcriber",
            "seehear.modalities.transcribe:FasterWhisper",
            'pip install "seehear[faster-whisper]"',
            "MODEL",
        ),
        "image": Entry("modality", "seehear.modalities.image:ImageModality", "pip install seehear"),
        "mcp": Entry("server", "seehear.integrations.mcp:serve", 'pip install "seehear[mcp]"'),
        "memory": Entry("store", "seehear.stores.memory:MemoryStore", "pip install seehear"),
        "mini": Entry("encoder", "seehear.modalities.encoders.mini:Mini", 'pip install "seehear[mini]"'),
        "sentence": Entry(
            "encoder", "seehear.modalities.encoders.sentence:Sentence", 'pip install "seehear[sentence]"', "MODEL"
        ),
        "shots": Entry("modality", "seehear.modalities.video:ShotsModality", 'pip install "seehear[video]"'),
        "text": Entry("modality", "seehear.modalities.text:TextModality", "pip install seehear"),
        "tiny.en": Entry("transcriber", "seehear.modalities.transcribe:TinyEn", 'pip install "seehear[mini]"'),
        "video": Entry("modality", "seehear.modalities.video:VideoModality", 'pip install "seehear[video]"'),
        "whisper": Entry(
            "transcriber", "seehear.modalities.transcribe:OpenAIWhisper", 'pip install "seehear[whisper]"', "MODEL"
        ),
    }
)


def build(spec: str, kind: str | None = None) -> Any:
    """Make what a name stands for; `dual:CHECKPOINT` gives the class its argument. Raises as `load` does."""
    name, _, argument = spec.partition(":")
    entry = ENTRIES.get(name)
    if entry and entry.argument:
        made = load(name, kind)
        if not argument:
            raise InputError(f"{name!r} must know which: write {name}:{entry.argument}.")
        return made(argument)
    made = load(spec, kind)
    try:
        return made()
    except SeehearError:
        raise
    except Exception as error:  # anything may stand behind module:Class
        raise InputError(
            f"{spec} cannot be made: {error!r}. It must be a class that is made without arguments."
        ) from error


def load(name: str, kind: str | None = None) -> Any:
    """Import the class that a name stands for; with `kind`, one of the table must be of that kind.

    Raises InputError for a name that is unknown, or MissingExtra.
    """
    entry = ENTRIES.get(name)
    target = entry.target if entry else name
    module, colon, attribute = target.partition(":")
    other = entry is not None and kind not in (None, entry.kind)
    if other or not colon or not all(part.isidentifier() for part in (*module.split("."), attribute)):
        fitting = {each: one for each, one in ENTRIES.items() if kind in (None, one.kind)}
        known = ", ".join(f"{each}:{one.argument}" if one.argument else each for each, one in fitting.items())
        raise InputError(
            f"There is no {f'{kind} ' if kind else ''}{name!r}. Known are {known}; a class of your own is written "
            "module:Class."
        )
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "seehear" or not entry:
            raise InputError(f"{target} cannot be imported: {error}.") from error
        raise MissingExtra(f"{name!r} needs the package {missing}, which is not installed: {entry.install}") from error
    except AttributeError as error:
        raise InputError(f"{module} has no {attribute}.") from error
    return found
