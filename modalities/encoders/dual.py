"""The encoder `dual`: words and pictures, or words and sounds, through the two towers of a checkpoint.

It runs any CLIP, SigLIP or SigLIP 2 checkpoint, and for sounds any CLAP. `families` says what differs between them,
`checkpoint` finds the files, `towers` are what runs. Importing this module loads neither PyTorch nor transformers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from seehear.types import Content, Kind, Needs, Picture, Role, Text, Waveform

from .checkpoint import NEEDED, Checkpoint, fetch, find
from .families import CLAP, FAMILIES
from .hub import Address
from .loading import choose_device
from .towers import Towers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

UNKNOWN = 1024  # short side to decode to before the checkpoint is here: twice the largest that is published


class Dual:
    """Words, and pictures or sounds, in the space of a checkpoint. May be used by several threads at once."""

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        device: str | None = None,
        precision: str | None = None,
        cache: Path | None = None,
    ) -> None:
        """Load nothing. Raises EncoderError for a name that cannot be one.

        `checkpoint` is a model id of the hub, with `@REVISION` if you like, or a folder: a Path, or what begins with
        `/`, `.` or `~`. `device` (or SEEHEAR_DEVICE) is `cpu`, `cuda`, `cuda:1` or `mps`; the fastest there is if
        nothing is said. `precision` (or SEEHEAR_PRECISION) is float32, float16 or bfloat16; half of it on CUDA if
        nothing is said. `cache` is the hub's cache, if it is not where the hub's client has it.
        """
        self._address = Address.parse(checkpoint)
        self._device, self._precision, self._cache = device, precision, cache
        self._checkpoint: Checkpoint | None = None
        self._towers: Towers | None = None
        self._lock = Lock()

    @property
    def name(self) -> str:
        """The checkpoint's own name, without organisation, revision or path."""
        return self._address.name.rpartition("/")[2]

    @property
    def dim(self) -> int:
        """Length of a vector, from config.json. Fetches a checkpoint that is not here: EncoderError."""
        return self._fetched().dim

    @property
    def precision(self) -> str:
        """What it computes in: `float32`, `float16` or `bfloat16`. Loads the checkpoint: EncoderError, MissingExtra."""
        return self._loaded().precision

    @property
    def takes(self) -> frozenset[Kind]:
        """Words, and what the checkpoint's family takes. Never fetches: before it is here, what any family takes."""
        found = self._here()
        families = [found.family] if found else FAMILIES.values()
        return frozenset({"text", *(family.kind for family in families)})

    @property
    def needs(self) -> Needs:
        """The size at which a decoded picture gives the same vector as a whole one; the rate and window of a sound.

        Never fetches: of a checkpoint that is not here yet, it is more than any that is published needs.
        """
        found = self._here()
        usual = CLAP.preprocessing
        return (
            found.needs if found else Needs(UNKNOWN, rate=usual["sampling_rate"], window=float(usual["max_length_s"]))
        )

    @property
    def fingerprint(self) -> Mapping[str, str]:
        """What decides vectors, by name; empty while a checkpoint of the hub is not here. Never fetches.

        Device and precision are no part of it: they change a vector by less than what they make faster is worth.
        Raises EncoderError when the checkpoint is here and cannot be used.
        """
        found = self._here()
        return found.fingerprint if found else {}

    def embed(self, contents: Sequence[Content], role: Role) -> Array:  # noqa: ARG002 - one vector serves both roles
        """Embed contents, mixed or not: float32 (len(contents), dim), unit rows, in order.

        Nothing is cut off: of a text or sound that is longer than the network takes, the row is the mean of equal
        parts that fit. The first call fetches and loads the checkpoint. Raises EncoderError when it cannot be had or
        loaded, when device or precision are not to be had, when the device has too little memory even for one content,
        or when half precision did not suffice; MissingExtra; TypeError for a kind that it does not take, a picture that
        is not uint8 (height, width, 3), or a sound that is not finite float32 (samples,).
        """
        if not contents:
            return np.empty((0, self.dim), np.float32)
        towers = self._loaded()
        texts = {place: content.text for place, content in enumerate(contents) if isinstance(content, Text)}
        pictures = {place: content.pixels for place, content in enumerate(contents) if isinstance(content, Picture)}
        sounds = {place: content for place, content in enumerate(contents) if isinstance(content, Waveform)}
        if others := {content.kind for content in contents} - self.takes:
            raise TypeError(f"{self.name} embeds {' and '.join(sorted(self.takes))}, not {', '.join(sorted(others))}.")
        rows = np.empty((len(contents), towers.dim), np.float32)
        if texts:
            rows[list(texts)] = towers.read(list(texts.values()))
        if pictures:
            rows[list(pictures)] = towers.see(list(pictures.values()))
        if sounds:
            rows[list(sounds)] = towers.hear(list(sounds.values()))
        return rows

    def _here(self) -> Checkpoint | None:
        with self._lock:
            self._checkpoint = self._checkpoint or find(self._address, self._cache)
            return self._checkpoint

    def _fetched(self) -> Checkpoint:
        with self._lock:
            self._checkpoint = self._checkpoint or fetch(self._address, self._cache)
            return self._checkpoint

    def _loaded(self) -> Towers:
        if self._towers is None:
            device = choose_device(
                self._device, NEEDED
            )  # what is not there shall not be said after a fetch of gigabytes
            checkpoint = self._fetched()
            with self._lock:
                self._towers = self._towers or Towers(checkpoint, device, self._precision)
        return self._towers
