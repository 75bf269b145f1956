"""The encoder `dual`: the vectors are those of transformers, whatever the batch, the size and the way in."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoints import DIM, FAMILIES, SIDE, change, tiny

from seehear.contracts import Encoder
from seehear.errors import EncoderError, MissingExtra
from seehear.media import Limits, open_source
from seehear.modalities.encoders import families as rows_of_data
from seehear.modalities.encoders.dual import Dual
from seehear.modalities.encoders.pictures import ready
from seehear.picture import read_picture
from seehear.testing import EncoderContract
from seehear.types import Content, Needs, Picture, Text

DATA = Path(__file__).parents[4] / "shared" / "data"
TEXTS = ["a red bicycle", "x", "Two DOGS on a beach, seen from far away!", "", "cats " * 12, "ümläuts and 漢字"]
LONG = " ".join(f"cat {number} and dog {number % 7}," for number in range(30))


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower with two, and very much so where another process has the second core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny checkpoint of each family."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for family in FAMILIES:
        tiny(family, folder / family)
    return folder


@pytest.fixture(scope="session")
def encoders(made: Path) -> dict[str, Dual]:
    return {family: Dual(made / family, device="cpu") for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def loaded(family: str, encoders: dict[str, Dual]) -> Dual:
    return encoders[family]


@pytest.fixture(scope="session")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dual]:
    """The same with pictures of 224 pixels, so that real photographs are shrunk as they are for real checkpoints."""
    folder = tmp_path_factory.mktemp("sized")
    return {family: Dual(tiny(family, folder / family, side=224), device="cpu") for family in FAMILIES}


@pytest.fixture
def sized(family: str, full_size: dict[str, Dual]) -> Dual:
    return full_size[family]


def shrunk(path: Path, encoder: Dual) -> Picture:
    """A picture as the decoding processes give it to this encoder."""
    with open_source(path, path.name, Limits()) as source:
        return read_picture(source, encoder.needs, Limits())


def drawn(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with colours, edges and fine structure: coarse noise enlarged, and fine noise on top."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize((width, height), 3)
    fine = rng.normal(0, 6, (height, width, 1))
    return Image.fromarray(np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8))


def pictures() -> list[Picture]:
    sizes = ((640, 480), (333, 500), (64, 64), (900, 300), (41, 90), (1, 1), (1600, 1200))
    return [Picture(np.asarray(drawn(*size, seed))) for seed, size in enumerate(sizes)]


def least(first: Any, second: Any) -> float:
    """The smallest cosine between rows that should be the same; both are made unit rows."""
    one, other = (np.asarray(rows, np.float64) for rows in (first, second))
    products = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    return float(products.min())


class Reference:
    """Transformers by hand, one content at a time: what the vectors have to be."""

    def __init__(self, folder: Path, family: str) -> None:
        import transformers

        row = rows_of_data.FAMILIES[family]
        self.row, self.transformers = row, transformers
        self.model = getattr(transformers, row.model).from_pretrained(folder).eval()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.processor = getattr(transformers, f"{row.processor}Pil").from_pretrained(folder)

    def texts(self, texts: list[str], **options: Any) -> Any:
        import torch

        rows = []
        for text in texts:
            given = text.lower() if self.row.lower_case else text
            options = {"padding": "max_length", "max_length": self.row.tokens, "truncation": True, **options}
            ids = self.tokenizer([given], return_tensors="pt", **options)["input_ids"]
            with torch.no_grad():
                rows.append(self.model.get_text_features(ids).pooler_output[0].numpy())
        return np.array(rows)

    def pictures(self, given: list[Picture]) -> Any:
        import torch

        rows = []
        for one in given:
            inputs = self.processor(Image.fromarray(one.pixels), return_tensors="pt")
            with torch.no_grad():
                rows.append(self.model.get_image_features(**inputs).pooler_output[0].numpy())
        return np.array(rows)


class TestContract(EncoderContract):
    @pytest.fixture
    def encoder(self, loaded: Dual) -> Dual:
        return loaded

    def another(self, encoder: Encoder) -> Encoder:
        assert isinstance(encoder, Dual)
        return Dual(encoder._address.folder or "")


class TestVectors:
    def test_they_are_those_of_transformers(self, family: str, loaded: Dual, made: Path) -> None:
        reference, given = Reference(made / family, family), pictures()
        assert least(loaded.embed([Text(text) for text in TEXTS], "query"), reference.texts(TEXTS)) >= 0.99999
        assert least(loaded.embed(given, "document"), reference.pictures(given)) >= 0.99999

    def test_they_are_those_of_sentence_transformers(self, family: str, loaded: Dual, made: Path) -> None:
        library = pytest.importorskip("sentence_transformers")
        theirs, given = library.SentenceTransformer(str(made / family), device="cpu"), pictures()
        images = [Image.fromarray(one.pixels) for one in given]
        assert least(loaded.embed(given, "document"), theirs.encode(images)) >= 0.99999
        texts = [text for text in TEXTS if text]
        ours = loaded.embed([Text(text) for text in texts], "query")
        if family != "clip":
            # Left alone it pads to the longest text of the batch and masks the padding: other vectors, and they
            # depend on the batch. SigLIP was trained with 64 tokens, all of them seen.
            assert least(ours, theirs.encode(texts)) < 0.9
            theirs[0].processing_kwargs = {"text": {"padding": "max_length", "max_length": 64, "truncation": True}}
            theirs[0].processor.tokenizer.model_input_names = ["input_ids"]
        assert least(ours, theirs.encode([text.lower() for text in texts])) >= 0.99999
        # And it keeps capitals where a checkpoint of the type `siglip` names Gemma's tokeniser.
        assert (least(ours, theirs.encode(texts)) >= 0.99999) is (family != "siglip")

    def test_they_do_not_depend_on_batch_threads_or_way_in(self, sized: Dual, tmp_path: Path) -> None:
        import torch

        paths = [tmp_path / f"{number}.{'png' if number % 2 else 'jpg'}" for number in range(6)]
        for number, path in enumerate(paths):
            drawn(500 + 37 * number, 460 - 31 * number, number).save(path)
        texts: list[Content] = [Text(f"{number} red bicycles" + " and more" * (number % 7)) for number in range(26)]
        by_path = [*texts, *(shrunk(path, sized) for path in paths)]
        by_bytes = [*texts, *(Picture(np.asarray(Image.open(io.BytesIO(path.read_bytes())))) for path in paths)]
        by_pil = [*texts, *(Picture(np.asarray(Image.open(path).convert("RGB"))) for path in paths)]
        expected = sized.embed(by_pil, "document")
        try:
            # Two threads are slow where cores are shared, so they get the ways and batches that can make a difference.
            for count, batches, ways in ((1, (1, 7, 32), (by_path, by_bytes, by_pil)), (2, (7, 32), (by_path,))):
                torch.set_num_threads(count)
                for batch, given in product(batches, ways):
                    parts = [sized.embed(given[at : at + batch], "query") for at in range(0, len(given), batch)]
                    assert least(np.concatenate(parts), expected) >= 0.9999, (count, batch)
        finally:
            torch.set_num_threads(1)

    def test_a_large_photograph_may_be_shrunk_while_it_is_decoded(self, sized: Dual, tmp_path: Path) -> None:
        path = tmp_path / "large.jpg"
        drawn(2400, 1801).save(path, quality=90)
        with Image.open(path) as image:
            whole = sized.embed([Picture(np.asarray(image))], "document")
        assert least(whole, sized.embed([shrunk(path, sized)], "document")) >= 0.9999

    def test_whole_real_photographs_have_the_vectors_of_shrunk_ones(self, sized: Dual, loaded: Dual) -> None:
        paths = sorted((DATA / "coco" / "images").glob("*.jpg"))[:16]
        if not paths:
            pytest.skip("../shared/data/coco is not here")
        whole = [Picture(np.asarray(Image.open(path).convert("RGB"))) for path in paths]
        for one in (sized, loaded):  # of 224 and of 64 pixels
            rows = (one.embed(given, "document") for given in (whole, [shrunk(path, one) for path in paths]))
            assert least(*rows) >= 0.9999

    def test_threads_may_share_it(self, made: Path, family: str, encoders: dict[str, Dual]) -> None:
        fresh = Dual(made / family, device="cpu")
        given: list[Content] = [Text("a cat"), *pictures()[:3], Text("Two dogs, and a very long story about them " * 3)]
        expected = encoders[family].embed(given, "query")
        with ThreadPoolExecutor(8) as pool:
            for rows in pool.map(lambda _: fresh.embed(given, "query"), range(24)):
                assert least(rows, expected) >= 0.99999


class TestTexts:
    def ids(self, encoder: Dual, *texts: str) -> Any:
        texts_of = encoder._loaded().texts
        return texts_of.padded([ids for parts in texts_of.parts(texts) for ids in parts])["input_ids"]

    def test_capitals_make_no_difference(self, loaded: Dual) -> None:
        one, other = loaded.embed([Text("a RED Bicycle"), Text("a red bicycle")], "query")
        assert float(one @ other) > 0.99999

    def test_what_follows_the_end_of_a_text_is_dropped_only_where_it_cannot_matter(
        self, family: str, loaded: Dual, made: Path
    ) -> None:
        reference, texts = Reference(made / family, family), ["a cat", "a red bicycle"]
        assert self.ids(loaded, *texts).shape == (2, {"clip": 2 + 11}.get(family, 64))
        same = least(reference.texts(texts, padding="longest"), reference.texts(texts)) > 0.99999
        assert same is (family == "clip")

    def test_padding_is_on_the_right_whatever_the_tokeniser_does(self, made: Path, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(made / "siglip2", tmp_path / "left"))
        expected = self.ids(Dual(folder, device="cpu"), "a cat")
        assert expected[0, 0] != 0
        assert expected[0, -1] == 0
        change(folder / "tokenizer_config.json", padding_side="left")
        np.testing.assert_array_equal(self.ids(Dual(folder, device="cpu"), "a cat"), expected)

    def test_a_long_text_is_the_mean_of_its_parts(self, family: str, loaded: Dual, made: Path) -> None:
        import torch

        reference = Reference(made / family, family)
        ids, longest = reference.tokenizer(LONG, add_special_tokens=False).input_ids, reference.row.tokens
        special = reference.tokenizer("").input_ids  # the end, and in `clip` the beginning before it
        count = -(-len(ids) // (longest - len(special)))
        assert count > 3
        rows = []
        for number in range(count):
            part = [*special[:-1], *ids[len(ids) * number // count : len(ids) * (number + 1) // count], special[-1]]
            filled = part + [reference.tokenizer.pad_token_id] * (longest - len(part))
            with torch.no_grad():
                rows.append(reference.model.get_text_features(torch.tensor([filled])).pooler_output[0].numpy())
        units = np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)
        given: list[Content] = [Text("a cat"), Text(LONG), Text("dogs")]
        for role in ("query", "document"):
            short, long, _ = loaded.embed(given, role)
            assert least(units.mean(0)[None], long[None]) >= 0.99999
            assert abs(float(np.linalg.norm(long)) - 1) < 1e-5
            assert least(reference.texts(["a cat"]), short[None]) >= 0.99999

    def test_the_end_of_a_long_text_counts(self, loaded: Dual) -> None:
        first, other = loaded.embed([Text(LONG), Text(LONG + " 3 red bicycles on a beach")], "document")
        assert float(first @ other) < 0.9999

    def test_a_text_that_just_fits_is_whole(self, family: str, loaded: Dual) -> None:
        room = {"clip": 75}.get(family, 63)
        for letters, parts in ((room, 1), (room + 1, 2), (2 * room, 2), (2 * room + 1, 3)):
            (found,) = loaded._loaded().texts.parts([",." * (letters // 2) + "," * (letters % 2)])
            sizes = [len(ids) for ids in found]
            assert len(found) == parts
            assert max(sizes) - min(sizes) <= 1
            assert sum(sizes) == letters + parts * {"clip": 2}.get(family, 1)

    def test_siglip_1_needs_sentencepiece_and_says_so(
        self, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = Path(shutil.copytree(made / "siglip", tmp_path / "first"))
        change(folder / "tokenizer_config.json", tokenizer_class="SiglipTokenizer")
        monkeypatch.setitem(sys.modules, "sentencepiece", None)
        with pytest.raises(MissingExtra, match=r"sentencepiece.*seehear\[clip\]"):
            Dual(folder).embed([Text("a cat")], "query")

    def test_siglip_1_has_its_own_tokeniser(self, made: Path, tmp_path: Path) -> None:
        sentencepiece = pytest.importorskip("sentencepiece")
        folder = Path(shutil.copytree(made / "siglip", tmp_path / "first"))
        (folder / "tokenizer.json").unlink()
        model = io.BytesIO()
        sentences = iter(["a red bicycle", "two dogs on a beach", "cats and dogs and bicycles far away"] * 20)
        options: dict[str, Any] = {
            "vocab_size": 40,
            "pad_id": -1,
            "bos_id": -1,
            "eos_id": 1,
            "unk_id": 2,
            "minloglevel": 2,
        }
        options["hard_vocab_limit"] = False
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=sentences, model_writer=model, **options)
        (folder / "spiece.model").write_bytes(model.getvalue())
        said = {"tokenizer_class": "SiglipTokenizer", "model_max_length": 64}
        (folder / "tokenizer_config.json").write_text(json.dumps(said))
        encoder = Dual(folder, device="cpu")
        assert set(self.ids(encoder, "a cat")[0, 10:]) == {1}  # </s> is what it pads with
        rows = encoder.embed([Text("A red, red bicycle!"), Text("a red red bicycle"), Text("two dogs")], "query")
        assert float(rows[0] @ rows[1]) > 0.99999
        assert float(rows[0] @ rows[2]) < 0.999


class TestPictures:
    def test_preprocessing_is_that_of_openai(self, tmp_path: Path) -> None:
        path, expected = DATA / "clip" / "franz-kafka.jpg", DATA / "clip" / "expected_preprocessed_image.npy"
        if not path.is_file():
            pytest.skip("../shared/data/clip is not here")
        towers = Dual(tiny("clip", tmp_path, side=224), device="cpu")._loaded()
        with Image.open(path) as image:
            found = towers.prepare([np.asarray(image.convert("RGB"))])["pixel_values"].numpy()
        assert np.abs(found - np.load(expected)).max() < 1e-3

    @pytest.mark.parametrize("size", [(500, 333), (96, 200), (64, 64), (31, 63), (1600, 1200), (400, 60)])
    def test_preprocessing_is_that_of_transformers(
        self, family: str, loaded: Dual, made: Path, size: tuple[int, int]
    ) -> None:
        image = drawn(*size)
        inputs = loaded._loaded().prepare([np.asarray(image)])
        expected = Reference(made / family, family).processor(image, return_tensors="pt")
        assert set(inputs) == set(expected)
        real = expected.get("pixel_attention_mask", np.ones((1, 1)))[0] > 0  # NaFlex fills up with what no one sees
        for name, values in expected.items():
            found = inputs[name][0].numpy()
            seen = real.numpy() if name == "pixel_values" and values.ndim == 3 else slice(None)
            assert np.abs(found[seen] - values[0].numpy()[seen]).max() < 1e-5, name

    @pytest.mark.parametrize("size", [(224, 224), (298, 224), (224, 301), (297, 225), (100, 224), (1792, 224)])
    def test_what_is_decoded_to_size_is_cut_as_transformers_does(
        self, family: str, sized: Dual, size: tuple[int, int]
    ) -> None:
        towers, pixels = sized._loaded(), np.asarray(drawn(*size))
        given = {"input_data_format": "channels_last", "return_tensors": "pt"}
        expected = towers._processor([pixels], **given)["pixel_values"]
        if (cut := ready([pixels], towers._said)) is not None:
            np.testing.assert_array_equal(cut.transpose(0, 3, 1, 2), expected.numpy())
        fits = {"clip": min(size) == 224, "siglip": size == (224, 224), "siglip2": False}
        assert (cut is not None) is fits[family]

    def test_one_that_is_too_small_does_not_change_the_others(self, sized: Dual) -> None:
        given: list[Content] = [Picture(np.asarray(drawn(*size))) for size in ((224, 224), (90, 60), (298, 224))]
        assert (
            least(sized.embed(given, "document"), np.concatenate([sized.embed([p], "query") for p in given])) > 0.9999
        )

    def test_what_a_checkpoint_says_of_its_pictures_is_done_and_told(self, made: Path, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(made / "clip", tmp_path / "other"))
        change(folder / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5], size=96, crop_size=SIDE, resample=2)
        plain, other = Dual(made / "clip", device="cpu"), Dual(folder, device="cpu")
        assert least(plain.embed(pictures()[:3], "document"), other.embed(pictures()[:3], "document")) < 0.999
        assert plain.fingerprint["preprocessing"].startswith(
            "resize shortest 64 bicubic, crop 64x64, scale 1/255, mean 0.48"
        )
        assert other.fingerprint["preprocessing"].startswith(
            "resize shortest 96 bilinear, crop 64x64, scale 1/255, mean 0.5"
        )
        differ = {name for name in plain.fingerprint if plain.fingerprint[name] != other.fingerprint[name]}
        assert differ == {"model", "preprocessing"}

    def test_every_colour_has_its_own_mean_and_deviation(self, family: str, made: Path, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(made / family, tmp_path / "colours"))
        change(folder / "preprocessor_config.json", image_mean=[0.1, 0.4, 0.8], image_std=[0.2, 0.3, 0.5])
        given = pictures()[:2]
        assert (
            least(Dual(folder, device="cpu").embed(given, "query"), Reference(folder, family).pictures(given)) > 0.99999
        )

    @pytest.mark.parametrize("shape", [(1, 60000, 3), (60000, 1, 3)])
    def test_a_strip_does_not_become_gigabytes(
        self, family: str, loaded: Dual, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        strip = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
        towers, enlarged = loaded._loaded(), []
        resize = towers._processor
        monkeypatch.setattr(
            towers, "_processor", lambda given, **how: (enlarged.extend(given), resize(given, **how))[1]
        )
        assert loaded.embed([Picture(strip)], "document").shape == (1, loaded.dim)
        if family == "clip":  # the others bring every picture to a size that does not depend on it
            assert max(enlarged[0].shape) == 8
            np.testing.assert_array_equal(enlarged[0].reshape(8, 3), strip.reshape(-1, 3)[29996:30004])

    @pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
    def test_what_is_no_picture_is_a_type_error(self, loaded: Dual, shape: tuple[int, ...]) -> None:
        with pytest.raises(TypeError, match="uint8"):
            loaded.embed([Picture(np.zeros(shape, np.uint8))], "document")

    def test_the_rows_of_data_say_what_transformers_does(self, family: str) -> None:
        import transformers

        row = rows_of_data.FAMILIES[family]
        made = getattr(transformers, f"{row.processor}Pil")().to_dict()
        for name, value in row.preprocessing.items():
            assert np.all(made[name] == value if isinstance(value, dict) else np.isclose(made[name], value)), name
        config = getattr(transformers, row.model).config_class()
        assert rows_of_data.number(config.to_dict(), row.dim, 0) == row.default_dim
        assert config.text_config.max_position_embeddings == row.tokens
        assert getattr(config.vision_config, "image_size", 224) == 224


class TestWhereItRuns:
    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_precision_is_close(self, family: str, loaded: Dual, made: Path, precision: str) -> None:
        if precision == "float16" and family != "clip":
            with pytest.raises(EncoderError, match=r"float16.*say float32 or bfloat16.*SEEHEAR_PRECISION"):
                Dual(made / family, device="cpu", precision=precision).embed([Text("a")], "query")
            return
        given: list[Content] = [*(Text(text) for text in TEXTS), *pictures()]
        rows = Dual(made / family, device="cpu", precision=precision).embed(given, "document")
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert least(rows, loaded.embed(given, "document")) > 0.99

    def test_the_variables_say_what_arguments_do_not(self, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SEEHEAR_DEVICE", "cpu")
        monkeypatch.setenv("SEEHEAR_PRECISION", "bfloat16")
        assert (Dual(made / "clip")._loaded().device.type, Dual(made / "clip")._loaded().precision) == (
            "cpu",
            "bfloat16",
        )
        assert Dual(made / "clip", precision="float32")._loaded().precision == "float32"
        monkeypatch.setenv("SEEHEAR_PRECISION", "double")
        with pytest.raises(EncoderError, match="'double'"):
            Dual(made / "clip")._loaded()

    def test_neither_is_part_of_the_fingerprint(self, made: Path) -> None:
        assert Dual(made / "clip", precision="bfloat16").fingerprint == Dual(made / "clip", device="cpu").fingerprint

    @pytest.mark.parametrize("device", ["cuda:99", "tpu", "mps:7"])
    def test_a_device_that_is_not_there_is_an_error(self, made: Path, device: str) -> None:
        with pytest.raises(EncoderError, match=rf"{device}.*only cpu.*SEEHEAR_DEVICE"):
            Dual(made / "clip", device=device).embed([Text("a")], "query")

    @pytest.mark.parametrize(
        ("family", "on_gpu", "bfloat16", "expected"),
        [
            ("clip", True, True, "float16"), ("clip", False, True, "float32"), ("siglip", True, True, "bfloat16"),
            ("siglip2", True, False, "float32"), ("siglip", False, False, "float32"),
        ],
    )  # fmt: skip
    def test_half_is_the_default_where_it_is_fast(
        self, family: str, on_gpu: bool, bfloat16: bool, expected: str
    ) -> None:
        assert rows_of_data.precision_for(rows_of_data.FAMILIES[family], None, on_gpu, bfloat16) == expected

    @pytest.mark.parametrize("room", [40, 5, 1, 0])
    def test_batches_are_as_large_as_the_memory_of_the_device(
        self, made: Path, monkeypatch: pytest.MonkeyPatch, room: int
    ) -> None:
        import torch

        encoder = Dual(made / "clip", device="cpu")
        given: list[Content] = [*(Text("cat " * n) for n in range(70)), *(pictures() * 3)]
        expected, model = encoder.embed(given, "document"), encoder._loaded()._model

        def small(real: Any) -> Any:
            def run(**inputs: Any) -> Any:
                if len(next(iter(inputs.values()))) > room:
                    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
                return real(**inputs)

            return run

        for name in ("get_text_features", "get_image_features"):
            monkeypatch.setattr(model, name, small(getattr(model, name)))
        if room:
            assert least(encoder.embed(given, "document"), expected) >= 0.99999
        else:
            with pytest.raises(EncoderError, match=r"cpu has no memory left for .*clip.*SEEHEAR_DEVICE"):
                encoder.embed(given, "document")

    def test_a_model_that_does_not_fit_into_memory_is_an_error(
        self, made: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch
        from transformers import CLIPModel

        def full(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

        monkeypatch.setattr(CLIPModel, "to", full)
        with pytest.raises(EncoderError, match=r"no memory left for .*clip.*SEEHEAR_DEVICE"):
            Dual(made / "clip", device="cpu").embed([Text("a")], "query")

    def test_an_overflow_is_an_error_and_not_a_vector(self, made: Path, tmp_path: Path) -> None:
        folder = Path(shutil.copytree(made / "clip", tmp_path / "large"))
        scale(folder / "model.safetensors", "visual_projection.weight", 1e5)
        picture = pictures()[0]
        with pytest.raises(EncoderError, match=r'float16.*precision="float32", or SEEHEAR_PRECISION=float32'):
            Dual(folder, device="cpu", precision="float16").embed([picture], "document")
        assert (
            least(
                Dual(folder, device="cpu").embed([picture], "document"),
                Dual(made / "clip").embed([picture], "document"),
            )
            > 0.9999
        )
        scale(folder / "model.safetensors", "visual_projection.weight", float("nan"))
        with pytest.raises(EncoderError, match="weights are broken"):
            Dual(folder, device="cpu").embed([picture], "document")


class TestLightness:
    def test_importing_and_asking_load_nothing_heavy(self, made: Path) -> None:
        code = (
            "import sys; from seehear.modalities.encoders.dual import Dual;"
            "e = Dual(sys.argv[1]); e.fingerprint, e.needs, e.dim;"
            "print(*{'torch', 'transformers', 'huggingface_hub', 'PIL', 'tokenizers'} & set(sys.modules))"
        )
        run = subprocess.run([sys.executable, "-c", code, made / "clip"], capture_output=True, text=True, check=True)
        assert run.stdout.split() == []

    def test_nothing_is_logged_or_drawn(
        self, family: str, made: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        from transformers.utils import logging as their

        their.set_verbosity_warning()
        their.enable_progress_bar()
        with caplog.at_level(logging.INFO):
            Dual(made / family, device="cpu").embed([Text("a"), pictures()[0]], "query")
        assert (their.get_verbosity(), their.is_progress_bar_enabled()) == (logging.WARNING, True)
        their.set_verbosity_error()
        their.disable_progress_bar()
        assert capfd.readouterr() == ("", "")
        assert caplog.text == ""

    def test_other_kinds_are_a_type_error(self, loaded: Dual) -> None:
        class Sound:
            kind = "audio"

        with pytest.raises(TypeError, match="audio"):
            loaded.embed([Sound()], "document")  # type: ignore[list-item]

    def test_needs_follow_the_network(self, encoders: dict[str, Dual]) -> None:
        assert {name: one.needs for name, one in encoders.items()} == {
            "clip": Needs(64), "siglip": Needs(64, square=True), "siglip2": Needs(512)
        }  # fmt: skip
        assert (encoders["clip"].dim, encoders["clip"].name) == (DIM, "clip")


def scale(path: Path, name: str, factor: float) -> None:
    """Multiply one of the weights of a safetensors file."""
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights[name] = weights[name] * factor
    save_file(weights, path, metadata={"format": "pt"})
