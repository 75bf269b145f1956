"""What a photograph says about itself comes along; what makes no sense does not."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import ExifTags, Image

from seehear import Library
from seehear.errors import MediaNote
from seehear.modalities.exif import described

EXIF, GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
NAMES = {
    "make": (None, ExifTags.Base.Make), "model": (None, ExifTags.Base.Model),
    "turned": (None, ExifTags.Base.Orientation), "taken": (EXIF, ExifTags.Base.DateTimeOriginal),
    "zone": (EXIF, ExifTags.Base.OffsetTimeOriginal), "digitized": (EXIF, ExifTags.Base.DateTimeDigitized),
    "changed": (None, ExifTags.Base.DateTime),
    "lat": (GPS, ExifTags.GPS.GPSLatitude), "north": (GPS, ExifTags.GPS.GPSLatitudeRef),
    "lon": (GPS, ExifTags.GPS.GPSLongitude), "east": (GPS, ExifTags.GPS.GPSLongitudeRef),
}  # fmt: skip


def photograph(path: Path, **tags: Any) -> Path:
    exif = Image.Exif()
    for name, value in tags.items():
        block, tag = NAMES[name]
        (exif if block is None else exif.get_ifd(block))[tag] = value
    Image.new("RGB", (40, 30), "red").save(path, exif=exif)
    return path


def read(path: Path) -> dict[str, Any]:
    with Image.open(path) as image:
        return described(image, image.size)


SIZE = {"width": 40, "height": 30}


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_time_camera_and_place_are_read(tmp_path: Path, name: str) -> None:
    path = photograph(
        tmp_path / name, make="Canon", model="Canon EOS 80D", taken="2024:05:03 21:30:15", zone="+02:00",
        lat=(52.0, 31.0, 12.0), north="N", lon=(13.0, 24.0, 18.0), east="W",
    )  # fmt: skip
    assert read(path) == {
        **SIZE, "taken": "2024-05-03T21:30:15+02:00", "camera": "Canon EOS 80D", "latitude": 52.52, "longitude": -13.405
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, {}),
        ({"taken": "2024:05:03 21:30:15"}, {"taken": "2024-05-03T21:30:15"}),
        ({"taken": "2024:05:03 21:30:15", "zone": "Z"}, {"taken": "2024-05-03T21:30:15+00:00"}),
        ({"digitized": "2024:05:03 21:30:15"}, {"taken": "2024-05-03T21:30:15"}),
        ({"changed": "2024:05:03 21:30:15"}, {}),
        ({"taken": "0000:00:00 00:00:00"}, {}),
        ({"taken": "    :  :     :  :  "}, {}),
        ({"make": "Nikon", "model": "D90"}, {"camera": "Nikon D90"}),
        ({"make": "Nikon"}, {"camera": "Nikon"}),
        ({"make": "\x1b[31mred\x07" + "x" * 500}, {"camera": ("[31mred" + "x" * 500)[:200]}),
        ({"turned": 6}, {"width": 30, "height": 40}),
        ({"lat": (52.0, 31.0, 12.0), "north": "N"}, {}),
        ({"lat": (91.0, 0.0, 0.0), "lon": (1.0, 0.0, 0.0)}, {}),
        ({"lat": (33.0, 0.0, 0.0), "lon": (151.0, 0.0, 0.0)}, {}),
        ({"lat": (0.0, 0.0, 0.0), "north": "S", "lon": (180.0, 0.0, 0.0), "east": "E"},
         {"latitude": 0.0, "longitude": 180.0}),
    ],
)  # fmt: skip
def test_what_is_not_there_or_makes_no_sense_is_left_out(tmp_path: Path, tags: Any, expected: Any) -> None:
    assert read(photograph(tmp_path / "a.jpg", **tags)) == {**SIZE, **expected}


@pytest.mark.parametrize("written", ["2024:02:31 10:00:00", "2024:05:03", "yesterday", "2024:13:01 00:00:00"])
def test_a_time_that_does_not_exist_is_noted(tmp_path: Path, written: str) -> None:
    with pytest.warns(MediaNote, match=f"taken at '{written}', which is no time"):
        assert read(photograph(tmp_path / "a.jpg", taken=written)) == SIZE


def test_a_zone_that_does_not_exist_is_noted_and_the_time_kept(tmp_path: Path) -> None:
    with pytest.warns(MediaNote, match=r"'\+99:00', is none"):
        found = read(photograph(tmp_path / "a.jpg", taken="2024:05:03 10:00:00", zone="+99:00"))
    assert found["taken"] == "2024-05-03T10:00:00"


def test_no_cut_or_garbled_block_costs_the_picture(tmp_path: Path) -> None:
    whole = photograph(tmp_path / "a.jpg", make="Nikon", taken="2024:05:03 10:00:00", lat=(1.0, 2.0, 3.0)).read_bytes()
    start = whole.index(b"Exif\0\0") + 6
    for place in range(start, start + 120):
        garbled = bytearray(whole)
        garbled[place] ^= 0xFF
        (tmp_path / "b.jpg").write_bytes(garbled)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read(tmp_path / "b.jpg")
        assert found["width"] in (30, 40)
        assert all(isinstance(value, (str, int, float)) for value in found.values())


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.jpg"])
def test_a_block_that_is_none_costs_no_picture_and_is_noted(library: Library, tmp_path: Path, name: str) -> None:
    Image.new("RGB", (40, 30), "red").save(tmp_path / name, exif=b"Exif\0\0GARBAGE!")
    report = library.add(tmp_path / name)
    assert (len(report.added), report.failed) == (1, [])
    assert library.retrieve("red", k=1)[0].metadata == SIZE


def test_tags_of_another_type_than_they_should_be_cost_no_picture(library: Library, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.XResolution] = "many"
    exif[ExifTags.Base.ImageDescription] = 7
    whole = tmp_path / "a.jpg"
    try:
        block = exif.tobytes()
    except Exception:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        block = exif.tobytes()
    Image.new("RGB", (40, 30), "red").save(whole, exif=block)
    report = library.add(whole)
    assert (len(report.added), report.failed) == (1, [])
    assert library.retrieve("red", k=1)[0].metadata == {"width": 30, "height": 40}


def test_add_reports_the_odd_date_and_filters_ask_for_the_others(library: Library, tmp_path: Path) -> None:
    folder = tmp_path / "trip"
    folder.mkdir()
    photograph(folder / "day.jpg", taken="2024:05:03 12:00:00", model="D90")
    photograph(folder / "night.jpg", taken="2024:05:03 23:00:00", zone="+02:00", model="X100")
    photograph(folder / "odd.jpg", taken="2024:02:31 12:00:00")
    report = library.add(folder)
    assert len(report.added) == 3
    assert [(Path(note.path).name, "31 12:00:00" in note.reason) for note in report.notes] == [("odd.jpg", True)]
    assert not report.failed + report.partial

    def found(**asked: Any) -> set[str]:
        return {Path(hit.source).name for hit in library.retrieve("red", **asked)}

    assert found(before="10 PM") == {"day.jpg"}
    assert found(after=datetime(2024, 5, 3, 20, 59, tzinfo=UTC)) == {"night.jpg"}
    assert found(where={"camera": "D90"}) == {"day.jpg"}
    assert found(where={"taken": {"$exists": False}}) == {"odd.jpg"}
    library.add(folder / "odd.jpg", metadata={"taken": datetime(2024, 3, 2, 8, 0)})
    assert found(before="2024-05-01") == {"odd.jpg"}
