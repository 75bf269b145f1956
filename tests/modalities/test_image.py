from __future__ import annotations

from pathlib import Path

from PIL import Image

from seehear.media import Limits, open_source
from seehear.modalities.image import ImageModality
from seehear.types import Needs, Picture


def cut(path: Path, key: str) -> tuple[str, Picture]:
    modality = ImageModality(Limits())
    with open_source(path, key, Limits()) as source:
        assert source.type in modality.types
        ((segment, content),) = modality.segments(source, Needs(pixels=10))
    assert (segment.modality, segment.channel, segment.start, segment.end) == ("image", "visual", None, None)
    assert isinstance(content, Picture)
    return segment.id, content


def test_a_picture_is_one_segment_at_the_size_that_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 20), "red").save(path)
    _, content = cut(path, "photos/a.png")
    assert content.pixels.shape == (10, 20, 3)


def test_the_id_changes_with_name_and_bytes_and_with_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4), "red").save(path)
    first, _ = cut(path, "photos/a.png")
    assert cut(path, "photos/a.png")[0] == first
    assert cut(path, "photos/b.png")[0] != first
    Image.new("RGB", (4, 4), "blue").save(path)
    assert cut(path, "photos/a.png")[0] != first
