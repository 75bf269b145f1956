"""Files that are questions, decoded in the pool's processes: a picture, a sound, something said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from seehear.decoder import Finished, Job, Piece
from seehear.errors import MediaError
from seehear.handle import inside, real
from seehear.media import Limits
from seehear.pool import Pool
from seehear.types import Content, Picture, Segment, Text, Waveform

WINDOWS = 12
"""Windows of a sound that are looked at, spread over it."""


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
        for segment, content in self._pieces(path, within):
            if isinstance(content, Picture):
                kept = kept or content
                if segment.modality != "image":  # whoever leaves in the middle costs a decoder, which a still need not
                    break
        if kept is None:
            raise MediaError("there is no picture in it")
        return kept

    def sound(self, path: Path, within: Sequence[str] | None = None) -> list[Waveform]:
        """Decode a sound, in windows; of a long one, some from all over it. Raises MediaError."""
        found = [c for s, c in self._pieces(path, within) if s.channel == "sound" and isinstance(c, Waveform)]
        if not found:
            raise MediaError("nothing is heard in it")
        return _spread(found)

    def part(self, path: Path, within: Sequence[str] | None = None) -> list[Picture] | list[Waveform]:
        """Decode what may be a picture or a sound: the one, or the other in windows. Raises MediaError."""
        found: list[Waveform] = []
        kept: list[Picture] = []
        for segment, content in self._pieces(path, within):
            if isinstance(content, Picture):
                kept = kept or [content]
                if segment.modality != "image":
                    break
            elif segment.channel == "sound" and isinstance(content, Waveform):
                found.append(content)
        if not found and not kept:
            raise MediaError("there is no picture in it, and nothing is heard")
        return kept or _spread(found)

    def speech(self, path: Path, within: Sequence[str] | None = None) -> list[Waveform | Text]:
        """Decode what may be said in a recording: stretches of speech, or its subtitles. Raises MediaError."""
        found = [c for s, c in self._pieces(path, within) if s.channel == "speech" and not isinstance(c, Picture)]
        if not found:
            raise MediaError("nothing is said in it")
        return found

    def _pieces(self, path: Path, within: Sequence[str] | None) -> Iterator[tuple[Segment, Content]]:
        if (place := real(path)) is None:
            raise MediaError("it cannot be looked at")
        if within is not None and not inside(place, within):
            raise MediaError("it is in none of the folders in which files to ask with may be")
        job = Job(path.name, path, within=[str(path.parent)] if within is None else within)
        with closing(self._pool.run([job])) as events:
            for event in events:
                if isinstance(event, Piece):
                    yield event.segment, event.content
                elif isinstance(event, Finished) and event.error:
                    raise event.error


def _spread(found: list[Waveform]) -> list[Waveform]:
    """Some windows from all over a long sound."""
    return [found[n * len(found) // WINDOWS] for n in range(WINDOWS)] if len(found) > WINDOWS else found
