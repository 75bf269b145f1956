"""Pictures: one file is one segment."""

from __future__ import annotations

from collections.abc import Iterator

from seehear.media import PICTURE_TYPES, Limits
from seehear.picture import decoded, opened_picture
from seehear.types import Content, Needs, Segment, Source, segment_id

from .exif import described


class ImageModality:
    """Cuts a picture file into its one segment, in the visual channel."""

    name = "image"
    types = frozenset(PICTURE_TYPES)
    settings = "whole"

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def segments(self, source: Source, needs: Needs) -> Iterator[tuple[Segment, Content]]:
        """Yield the picture itself, at the size that `needs` asks for. Raises MediaError; warns MediaNote."""
        with opened_picture(source, self.limits) as image:
            size = image.size
            picture = decoded(image, needs)
            found = described(image, size)
        name = segment_id(source.key, source.content, "visual", 0, self.settings)
        yield Segment(name, source.key, "image", "visual", metadata=found), picture
