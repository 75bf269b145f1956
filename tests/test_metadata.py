from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seehear.errors import InputError
from seehear.metadata import checked


def test_plain_values_pass_and_nothing_is_left_out() -> None:
    told = {"a": "x", "b": 1, "c": 0.5, "d": True, "e": None}
    assert checked(told) == {"a": "x", "b": 1, "c": 0.5, "d": True}


def test_numpy_scalars_become_pythons() -> None:
    clean = checked({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.str_("x")})
    assert [type(value) for value in clean.values()] == [float, int, bool, str]


def test_dates_become_text_that_says_when() -> None:
    told = {"taken": datetime(2024, 5, 3, 21, 30, tzinfo=timezone(timedelta(hours=2))), "due": date(2025, 1, 1)}
    assert checked(told) == {"taken": "2024-05-03T21:30:00+02:00", "due": "2025-01-01"}


def test_text_that_cannot_be_encoded_is_escaped() -> None:
    assert checked({"a": "caf\udce9"}) == {"a": "caf\\udce9"}


@pytest.mark.parametrize(
    "told",
    [{"a": [1]}, {"a": {}}, {"a": float("nan")}, {"a": float("inf")}, {"a": 2**64}, {"a": Path("x")}, {"a": b"x"},
     {"_a": 1}, {"$and": 1}, {"taken": "2024-02-31"}, {"taken": 5}, {"": 1}, {"\udcff": 1}, {1: 1}, {"a\0": 1},
     {"a": np.datetime64("2024-05-03", "ns")}],
)  # fmt: skip
def test_what_no_store_keeps_is_refused_by_name(told: dict[Any, Any]) -> None:
    with pytest.raises(InputError, match=r"'a'|cannot name|is a time such as"):
        checked(told)


def test_metadata_is_a_mapping() -> None:
    with pytest.raises(InputError, match="mapping"):
        checked(["a"])  # type: ignore[arg-type]
