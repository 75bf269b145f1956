"""Pictures in every form that they come in, and what is refused before it is decoded."""

from __future__ import annotations

import io
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from PIL.JpegImagePlugin import JpegImageFile

from seehear.errors import DamagedMedia, MediaError, MediaTooLarge
from seehear.media import PICTURE_TYPES, Limits, open_source
from seehear.picture import LONGEST, read_picture
from seehear.types import Needs

RED, BLUE = (255, 0, 0), (0, 0, 255)


def read(path: Path, pixels: int | None = None, limits: Limits | None = None) -> np.ndarray:
    limits = limits or Limits()
    with open_source(path, "key", limits) as source:
        return read_picture(source, Needs(pixels), limits).pixels


def half_and_half(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image


def near(pixel: np.ndarray, colour: tuple[int, int, int], within: int = 12) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= within)


@pytest.mark.parametrize(("type_", "format_"), PICTURE_TYPES.items())
def test_each_format_is_known_by_its_content_and_not_its_name(tmp_path: Path, type_: str, format_: str) -> None:
    path = tmp_path / "misleading.txt"
    half_and_half().save(path, format_)
    with open_source(path, "key", Limits()) as source:
        assert source.type == type_
    pixels = read(path)
    assert pixels.shape == (20, 40, 3)
    assert pixels.dtype == np.uint8
    assert near(pixels[10, 5], RED, 30)
    assert near(pixels[10, 34], BLUE, 30)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    upright = half_and_half()
    # What a camera stores so that each orientation shows the picture upright.
    turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}.get(orientation)
    stored = upright if turn is None else upright.transpose(Image.Transpose(turn))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    stored.save(path, quality=95, exif=exif)
    pixels = read(path)
    assert pixels.shape == (20, 40, 3)
    assert near(pixels[10, 5], RED)
    assert near(pixels[10, 34], BLUE)


def test_transparency_becomes_white(tmp_path: Path) -> None:
    path = tmp_path / "clear.png"
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(path)
    assert near(read(path)[4, 4], (255, 255, 255), 0)


def test_half_transparency_is_mixed_with_white(tmp_path: Path) -> None:
    path = tmp_path / "half.png"
    Image.new("RGBA", (8, 8), (255, 0, 0, 128)).save(path)
    assert near(read(path)[4, 4], (255, 127, 127), 2)


def test_a_palette_with_a_transparent_colour_becomes_white(tmp_path: Path) -> None:
    path = tmp_path / "palette.gif"
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.save(path, transparency=1)
    assert near(read(path)[4, 4], (255, 255, 255), 0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16", "F"])
def test_every_mode_of_grey_and_print_becomes_rgb(tmp_path: Path, mode: str) -> None:
    grey = np.full((8, 8), 128, np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    elif mode == "F":
        image = Image.fromarray(grey.astype(np.float32) / 255)
    elif mode == "P":
        image = Image.fromarray(grey).convert("RGB").quantize(2)
    else:
        image = Image.fromarray(grey).convert("RGB").convert(mode, dither=Image.Dither.NONE)
    path = tmp_path / "picture.tiff"
    image.save(path)
    expected = (255,) * 3 if mode == "1" else (128,) * 3
    assert near(read(path)[4, 4], expected, 3)


def test_a_sixteen_bit_png_keeps_its_brightness(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(path)
    assert near(read(path)[4, 4], (128,) * 3, 1)


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "print.jpg"
    half_and_half().convert("CMYK").save(path, quality=95)
    assert near(read(path)[10, 5], RED)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_counts(tmp_path: Path, format_: str) -> None:
    path = tmp_path / "moving"
    Image.new("RGB", (8, 8), RED).save(
        path, format_, save_all=True, append_images=[Image.new("RGB", (8, 8), BLUE)], lossless=True
    )
    assert near(read(path)[4, 4], RED, 2)


def test_the_short_side_becomes_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    half_and_half((400, 300)).save(path)
    assert read(path, 30).shape == (30, 40, 3)


@pytest.mark.parametrize(("size", "expected"), [((400, 300), 30), ((400, 20), 30), ((20, 30), (30, 20))])
def test_a_square_is_made_in_one_step_if_that_is_needed(
    tmp_path: Path, size: tuple[int, int], expected: int | tuple[int, int]
) -> None:
    path = tmp_path / "large.png"
    half_and_half(size).save(path)
    with open_source(path, "large", Limits()) as source:
        found = read_picture(source, Needs(30, square=True), Limits()).pixels
    assert found.shape[:2] == ((expected, expected) if isinstance(expected, int) else expected)
    if expected == 30:
        whole = Image.open(path).convert("RGB").resize((30, 30), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(found, np.asarray(whole))


def test_a_small_picture_is_never_enlarged(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    half_and_half((4, 2)).save(path)
    assert read(path, 224).shape == (2, 4, 3)


def test_a_strip_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "strip.png"
    Image.new("L", (60_000, 5)).save(path)
    height, width, _ = read(path, 224).shape
    assert width <= LONGEST * 224
    assert height >= 1


def test_a_large_jpeg_is_decoded_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "large.jpg"
    half_and_half((4000, 3000)).save(path, quality=90)
    asked = []
    draft = JpegImageFile.draft

    def spy(image: JpegImageFile, mode: str | None, size: tuple[int, int]) -> object:
        asked.append(size)
        return draft(image, mode, size)

    monkeypatch.setattr(JpegImageFile, "draft", spy)
    pixels = read(path, 224)
    assert pixels.shape == (224, 298, 3)
    assert near(pixels[100, 20], RED)
    assert asked == [(896, 672)]


def test_too_many_pixels_are_refused_from_the_header(tmp_path: Path) -> None:
    # 169 megapixels in half a megabyte: grey rows that compress to almost nothing.
    path = tmp_path / "bomb.png"
    path.write_bytes(png_of_zeros(13_000, 13_000))
    assert path.stat().st_size < 600_000
    started = time.process_time()
    with pytest.raises(MediaTooLarge, match=r"169 megapixels.*Limits\(pixels"):
        read(path)
    assert time.process_time() - started < 1  # decoding it takes several


def png_of_zeros(width: int, height: int) -> bytes:
    """A grey PNG, made row by row."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    packer = zlib.compressobj(9)
    row = bytes(width + 1)
    rows = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_pillows_own_limit_does_not_stand_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    path.write_bytes(png_of_zeros(95_000, 1_000))
    assert read(path, 100).shape[0] <= 100


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_a_truncated_picture_is_damaged(tmp_path: Path, format_: str) -> None:
    rng = np.random.default_rng(0)
    whole = tmp_path / "whole"
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(whole, format_)
    path = tmp_path / "cut"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(DamagedMedia, match="damaged or cut short"):
        read(path)


@pytest.mark.parametrize("seed", range(60))
def test_a_mutated_picture_is_read_or_refused_with_a_typed_error(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    format_ = list(PICTURE_TYPES.values())[seed % 6]
    path = tmp_path / "mutant"
    Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8)).save(path, format_)
    content = bytearray(path.read_bytes())
    for place in rng.integers(12, len(content), 6):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    try:
        shape = read(path, 32).shape
    except MediaError:
        shape = (1, 1, 3)  # refused, by an error of ours
    assert shape[2] == 3


def test_pillow_has_the_codecs_that_are_promised() -> None:
    assert features.check("jpg")
    assert features.check("webp")
    assert features.check("zlib")


def test_a_jpeg_that_is_drawn_over_a_thousand_times_is_refused(tmp_path: Path) -> None:
    written = io.BytesIO()
    half_and_half((400, 300)).save(written, "JPEG", progressive=True)
    content = written.getvalue()
    last = content.rindex(b"\xff\xda")
    (tmp_path / "a.jpg").write_bytes(content)
    assert read(tmp_path / "a.jpg").shape == (300, 400, 3)
    (tmp_path / "b.jpg").write_bytes(content[:-2] + content[last:-2] * 1_000 + content[-2:])
    with pytest.raises(MediaTooLarge, match=r"drawn 1,0\d\d times over"):
        read(tmp_path / "b.jpg")


def test_a_picture_of_no_width_and_endless_height_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of_zeros(1, 60_000_000))
    with pytest.raises(MediaTooLarge, match="of a side more than"):
        read(tmp_path / "a.png")
