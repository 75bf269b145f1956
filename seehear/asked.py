"""Files that are questions, decoded in the pool's processes: a picture, a sound, something said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from seehear.decoder import Finished, Job, Opened, Piece
from seehear.errors import MediaError
from seehear.handle import inside, real
from seehear.media import Limits
from seehear.pool import Pool
from seehear.types import Content, Modality, Picture, Segment, Text, Waveform

WINDOWS = 12
"""Windows of a sound that are looked at, spread over it."""
SEEN: frozenset[Modality] = frozenset({"image", "video"})
HEARD: frozenset[Modality] = frozenset({"audio", "video"})
"""What a file may be to be looked at, or listened to; what is neither is not decoded."""


class Asked:
    """Opens files to ask with, in the folders `within`. One may kill the process that decodes it, and nothing else."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def limits(self) -> Limits:
        """What a file may cost."""
        return self._pool.limits

    def picture(self, path: Path, within: Sequence[str] | None = None) -> Picture:
        """Decode a picture. Raises MediaError."""
        kept: Picture | None = None
        for segment, content in self._pieces(path, within, SEEN):
            if isinstance(content, Picture):
                kept = kept or content
                if segment.modality != "image":  # whoever leaves in the middle costs a decoder, which a still need not
                    break
        if kept is None:
            raise MediaError("there is no picture in it")
        return kept

    def sound(self, path: Path, within: Sequence[str] | None = None) -> list[Waveform]:
        """Decode a sound, in windows; of a long one, some from all over it. Raises MediaError."""
        found = _Spread()
        for segment, content in self._pieces(path, within, HEARD):
            if segment.channel == "sound" and isinstance(content, Waveform):
                found.add(content)
        if not found.kept:
            raise MediaError("nothing is heard in it")
        return found.some()

    def part(self, path: Path, within: Sequence[str] | None = None) -> list[Picture] | list[Waveform]:
        """Decode what may be a picture or a sound: the one, or the other in windows. Raises MediaError."""
        found = _Spread()
        kept: list[Picture] = []
        for segment, content in self._pieces(path, within, SEEN | HEARD):
            if isinstance(content, Picture):
                kept = kept or [content]
                if segment.modality != "image":
                    break
            elif segment.channel == "sound" and isinstance(content, Waveform):
                found.add(content)
        if not found.kept and not kept:
            raise MediaError("there is no picture in it, and nothing is heard")
        return kept or found.some()

    def speech(self, path: Path, within: Sequence[str] | None = None) -> list[Waveform | Text]:
        """Decode what may be said in a recording: stretches of speech, or its subtitles. Raises MediaError."""
        pieces = self._pieces(path, within, HEARD)
        found = [c for s, c in pieces if s.channel == "speech" and not isinstance(c, Picture)]
        if not found:
            raise MediaError("nothing is said in it")
        return found

    def _pieces(
        self, path: Path, within: Sequence[str] | None, modalities: frozenset[Modality]
    ) -> Iterator[tuple[Segment, Content]]:
        if (place := real(path)) is None:
            raise MediaError("it cannot be looked at")
        if within is not None and not inside(place, within):
            raise MediaError("it is in none of the folders in which files to ask with may be")
        job = Job(path.name, path, within=[str(path.parent)] if within is None else within)
        with closing(self._pool.run([job])) as events:
            for event in events:
                if isinstance(event, Opened) and event.modality not in (*modalities, "image"):
                    return  # to decode it may take minutes, for nothing
                if isinstance(event, Piece):
                    yield event.segment, event.content
                elif isinstance(event, Finished) and event.error:
                    raise event.error


class _Spread:
    """Windows from all over a sound, however long it is: of hours each second, fourth, eighth ... is kept."""

    def __init__(self) -> None:
        self.kept: list[Waveform] = []
        self._count, self._step = 0, 1

    def add(self, window: Waveform) -> None:
        """Take the next one."""
        if self._count % self._step == 0:
            self.kept.append(window)
        self._count += 1
        if len(self.kept) == 16 * WINDOWS:
            self.kept, self._step = self.kept[::2], 2 * self._step

    def some(self) -> list[Waveform]:
        """At most WINDOWS of them."""
        kept = self.kept
        return [kept[n * len(kept) // WINDOWS] for n in range(WINDOWS)] if len(kept) > WINDOWS else kept
