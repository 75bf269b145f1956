import pytest

from seehear.testing import ColourEncoder, EncoderContract


class TestColourEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self) -> ColourEncoder:
        return ColourEncoder()
