import pytest

from seehear.errors import MissingExtra
from seehear.modalities.encoders.extras import extra


def test_a_missing_package_names_the_extra() -> None:
    wanted = r'package transformers is not installed: pip install "seehear\[clip\]"'
    with pytest.raises(MissingExtra, match=wanted), extra("clip", "torch", "transformers"):
        raise ModuleNotFoundError("No module named 'transformers'", name="transformers")


def test_an_error_inside_a_package_stays_what_it_is() -> None:
    with pytest.raises(ModuleNotFoundError, match="other"), extra("clip", "transformers"):
        raise ModuleNotFoundError("No module named 'other'", name="other")
