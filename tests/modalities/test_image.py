from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seehear.errors import MediaError
from seehear.media import Limits
from seehear.modalities.image import ImageModality
from seehear.testing import ModalityContract
from seehear.types import Picture


class TestImageModality(ModalityContract):
    @pytest.fixture
    def modality(self) -> ImageModality:
        return ImageModality(Limits())

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "a.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 40, 3), np.uint8)).save(path)
        return path

    def test_a_picture_is_one_segment_without_a_time(self, modality: ImageModality, path: Path) -> None:
        ((segment, content),) = self.cut(modality, path, "photos/a.png")
        assert (segment.channel, segment.start, segment.end) == ("visual", None, None)
        assert isinstance(content, Picture)
        assert content.pixels.shape == (10, 20, 3)

    def test_a_file_that_is_cut_short_is_a_media_error(self, modality: ImageModality, path: Path) -> None:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(MediaError):
            self.cut(modality, path, "a")

    def test_other_bytes_give_another_id(self, modality: ImageModality, path: Path) -> None:
        ((before, _),) = self.cut(modality, path, "a")
        Image.new("RGB", (4, 4), "blue").save(path)
        ((after, _),) = self.cut(modality, path, "a")
        assert before.id != after.id
