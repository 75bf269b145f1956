"""Checkpoints: what is found and fetched, and what each that cannot be used is told."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny_checkpoints import as_hub, change, tiny

from seehear.errors import EncoderError
from seehear.modalities.encoders import checkpoint
from seehear.modalities.encoders.checkpoint import Address
from seehear.modalities.encoders.dual import UNKNOWN, Dual
from seehear.types import Text

COMMIT, OTHER = "1" * 40, "2" * 40
NAME = "someone/tiny-clip"


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
    return tiny("clip", tmp_path_factory.mktemp("made") / "clip")


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may break."""
    return Path(shutil.copytree(made, tmp_path / "clip"))


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read from the environment at import only
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)


def ask(given: str | Path, **options: Any) -> Any:
    return Dual(given, device="cpu", **options).embed([Text("a cat")], "query")


def broken(given: str | Path, match: str, **options: Any) -> None:
    """Asking is an EncoderError of one or two sentences, and not the traceback of another library."""
    with pytest.raises(EncoderError, match=match) as caught:
        ask(given, **options)
    assert "\n" not in str(caught.value)


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name", "revision"),
        [
            ("gpt2", "gpt2", None), ("openai/clip-vit-base-patch32", "openai/clip-vit-base-patch32", None),
            ("a/b.c_d@refs/pr/15", "a/b.c_d", "refs/pr/15"), (f"a/b@{COMMIT}", "a/b", COMMIT),
        ],
    )  # fmt: skip
    def test_a_model_id_may_name_a_revision(self, given: str, name: str, revision: str | None) -> None:
        found = Address.parse(given)
        assert (found.name, found.revision, found.folder) == (name, revision, None)

    def test_a_folder_is_what_is_written_as_a_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        for given in ("./clip", "~/clip", str(tmp_path / "clip"), Path("clip"), "../" + tmp_path.name + "/clip"):
            found = Address.parse(given)
            assert found.folder is not None
            assert found.folder.resolve() == tmp_path / "clip"
            assert (found.name, found.revision) == ("clip", None)
        assert Address.parse("./a@b").name == "a@b"

    @pytest.mark.parametrize(
        "given",
        [
            "a/b/c",
            "",
            "a b",
            "a/b@",
            "a/b@../../x",
            "a/b@x/../../y",
            "a//b",
            "a--b/c",
            "a/b@x y",
            "-a/b",
            "a/b.git",
            "a\nb",
        ],
    )
    def test_what_is_neither_is_told_how_to_write_a_folder(self, given: str) -> None:
        with pytest.raises(EncoderError, match=r"model id.*write \./"):
            Dual(given)


class TestFolders:
    def test_its_fingerprint_names_what_decides_vectors(self, folder: Path) -> None:
        before = dict(Dual(folder).fingerprint)
        assert list(before) == [
            "model", "family", "config", "weights", "tokenizer", "preprocessing", "padding", "dim",
        ]  # fmt: skip
        assert all(isinstance(value, str) for value in before.values())
        tiny("clip", folder.parent / "seed", seed=1)
        shutil.copy(folder.parent / "seed" / "model.safetensors", folder)
        assert self.differ(before, folder) == {"weights"}
        change(folder / "config.json", transformers_version="0", _name_or_path="elsewhere")
        assert self.differ(before, folder) == {"weights"}
        # A known trap: OpenAI's weights with the wrong one of two nearly equal activations.
        text = json.loads((folder / "config.json").read_text())["text_config"]
        change(folder / "config.json", text_config={**text, "hidden_act": "gelu"})
        assert self.differ(before, folder) == {"weights", "config"}
        (folder / "special_tokens_map.json").write_text("{}")
        assert self.differ(before, folder) == {"weights", "config", "tokenizer"}

    def differ(self, before: dict[str, str], folder: Path) -> set[str]:
        after = Dual(folder).fingerprint
        return {name for name in before if before[name] != after[name]}

    def test_a_file_is_hashed_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = Dual(folder).fingerprint
        monkeypatch.setattr(checkpoint.hashlib, "file_digest", None)
        assert Dual(folder).fingerprint == expected

    def test_it_may_be_moved(self, folder: Path, tmp_path: Path) -> None:
        expected = Dual(folder).fingerprint
        folder.rename(tmp_path / "moved")
        moved = dict(Dual(tmp_path / "moved").fingerprint)
        assert moved == {**expected, "model": "moved"}

    def test_weights_may_be_in_parts(self, folder: Path) -> None:
        expected = ask(folder)
        split(folder)
        assert float((ask(folder) * expected).sum()) > 0.99999
        assert len(Dual(folder).fingerprint["weights"]) == 64

    def test_a_folder_that_is_not_there(self, tmp_path: Path) -> None:
        broken(tmp_path / "nobody", "no folder .*nobody")
        with pytest.raises(EncoderError, match="no folder"):
            _ = Dual("./nobody").fingerprint

    def test_a_folder_that_is_no_checkpoint(self, folder: Path) -> None:
        (folder / "config.json").unlink()
        broken(folder, r"no checkpoint.*no config\.json")

    @pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\udcff", "[" * 100_000])
    def test_a_broken_config(self, folder: Path, text: str) -> None:
        (folder / "config.json").write_bytes(text.encode(errors="surrogateescape"))
        broken(folder, r"config\.json of .*clip.*(cannot be read|no JSON object).*get it again")

    def test_a_family_that_is_not_known(self, folder: Path) -> None:
        change(folder / "config.json", model_type="bert")
        broken(folder, "'bert'. Known are clip, siglip, siglip2")
        change(folder / "config.json", model_type=None)
        broken(folder, "type None")

    def test_code_that_a_checkpoint_brings_is_never_run(self, folder: Path, tmp_path: Path) -> None:
        (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...")
        auto = {"AutoConfig": "own.Own", "AutoModel": "own.Own", "AutoTokenizer": ["own.Own", "own.Own"]}
        change(folder / "config.json", auto_map=auto)
        change(folder / "tokenizer_config.json", auto_map=auto)
        change(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "own.Own"})
        ask(folder)  # what it is made of is known without
        change(folder / "config.json", model_type="own")
        broken(folder, "'own', and it wants to run code of its own, which seehear never does")
        assert not (tmp_path / "ran").exists()

    def test_attention_is_not_taken_from_where_a_config_says(self, folder: Path) -> None:
        change(folder / "config.json", attn_implementation="someone/kernel", _attn_implementation="someone/kernel")
        ask(folder)

    @pytest.mark.parametrize("pickle", ["pytorch_model.bin", "clip.pt"])
    def test_weights_that_are_only_a_pickle(self, folder: Path, pickle: str) -> None:
        (folder / "model.safetensors").rename(folder / pickle)
        broken(folder, rf"pickle \({pickle}\), and a pickle can run code.*refs/pr/N.*convert")

    def test_no_weights(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        broken(folder, r"no weights \(model\.safetensors\)")

    def test_weights_that_are_cut_short(self, folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:5000])
        broken(folder, "weights of .*clip cannot be loaded.*get it again")

    @pytest.mark.parametrize(
        ("what", "edit"),
        [
            ("1 missing, such as visual_projection.weight", lambda w: w.pop("visual_projection.weight")),
            ("1 unexpected, such as extra", lambda w: w.update(extra=w["visual_projection.weight"].clone())),
            (
                "1 mismatched, such as visual",
                lambda w: w.update({"visual_projection.weight": w["logit_scale"].clone()}),
            ),
        ],
    )
    def test_weights_that_do_not_fit(self, folder: Path, what: str, edit: Callable[[Any], Any]) -> None:
        from safetensors.torch import load_file, save_file

        weights = load_file(folder / "model.safetensors")
        edit(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        broken(folder, rf"do not fit its config\.json: {what}")

    @pytest.mark.parametrize("name", ["../other.safetensors", "/tmp/x.safetensors", "a\\b.safetensors", "x.bin", ".."])  # noqa: S108
    def test_parts_that_are_elsewhere(self, folder: Path, name: str) -> None:
        split(folder)
        shutil.copy(folder / "model-00001-of-00002.safetensors", folder.parent / "other.safetensors")
        index = folder / "model.safetensors.index.json"
        weights = json.loads(index.read_text())["weight_map"]
        change(index, weight_map={**weights, "logit_scale": name})
        broken(folder, "no safetensors file beside it")

    def test_a_part_that_is_missing(self, folder: Path) -> None:
        split(folder)
        (folder / "model-00002-of-00002.safetensors").unlink()
        broken(folder, r"lacks model-00002-of-00002\.safetensors")
        change(folder / "model.safetensors.index.json", weight_map=None)
        broken(folder, "names no files")

    def test_no_tokeniser(self, folder: Path) -> None:
        (folder / "tokenizer.json").unlink()
        broken(folder, "no tokeniser")

    def test_a_broken_tokeniser(self, folder: Path) -> None:
        (folder / "tokenizer.json").write_text("{}")
        broken(folder, "tokeniser of .* cannot be loaded")

    def test_nothing_about_pictures(self, folder: Path) -> None:
        (folder / "preprocessor_config.json").unlink()
        broken(folder, r"no preprocessor_config\.json")
        (folder / "processor_config.json").write_text('{"processor_class": "CLIPProcessor"}')
        broken(folder, r"no preprocessor_config\.json")

    def test_transformers_5_writes_what_it_knows_of_pictures_elsewhere(self, folder: Path) -> None:
        expected = Dual(folder).fingerprint
        said = json.loads((folder / "preprocessor_config.json").read_text())
        (folder / "processor_config.json").write_text(json.dumps({"image_processor": said}))
        (folder / "preprocessor_config.json").unlink()
        assert Dual(folder).fingerprint == expected

    @pytest.mark.parametrize(
        ("said", "match"),
        [
            ({"size": {"shortest_edge": -1}}, "size = "), ({"size": {"shortest_edge": 10**9}}, "size = "),
            ({"crop_size": "64"}, "crop_size = "), ({"resample": 9}, "resample = "),
            ({"do_resize": "yes"}, "do_resize = "),
            ({"image_std": [0, 1, 1]}, "image_std"), ({"image_mean": [0.5]}, "image_mean"),
            ({"rescale_factor": "1/255"}, "rescale_factor"),
            ({"crop_size": {"height": 32, "width": 32}}, "32 x 32 pixels, and its network takes 64 x 64"),
            ({"do_center_crop": False}, "different sizes"),
            ({"image_processor_type": "ViTImageProcessor"}, "ViTImageP"),
        ],
    )  # fmt: skip
    def test_nonsense_about_pictures(self, folder: Path, said: dict[str, Any], match: str) -> None:
        change(folder / "preprocessor_config.json", **said)
        broken(folder, match)

    @pytest.mark.parametrize("dim", ["24", 0, -3, True])
    def test_nonsense_about_vectors(self, folder: Path, dim: Any) -> None:
        change(folder / "config.json", projection_dim=dim)
        broken(folder, "projection_dim = .* makes no sense")

    def test_older_names_of_the_same_thing(self, folder: Path) -> None:
        expected = Dual(folder).fingerprint
        path = folder / "preprocessor_config.json"
        change(path, image_processor_type=None, feature_extractor_type="CLIPFeatureExtractor", size=64, crop_size=64)
        assert Dual(folder).fingerprint == expected


class TestTheHubsCache:
    @pytest.fixture
    def cache(self, made: Path, tmp_path: Path) -> Path:
        as_hub(made, tmp_path / "hub", NAME, COMMIT)
        return tmp_path / "hub"

    def test_what_is_there_needs_no_network(self, cache: Path, made: Path) -> None:
        encoder = Dual(NAME, cache=cache, device="cpu")
        assert (encoder.name, encoder.fingerprint["model"], encoder.fingerprint["revision"]) == (
            "tiny-clip",
            NAME,
            COMMIT,
        )
        here = dict(Dual(made).fingerprint)
        assert {**encoder.fingerprint, "model": "clip"} == {**here, "revision": COMMIT}
        assert float((encoder.embed([Text("a cat")], "query") * ask(made)).sum()) > 0.99999

    def test_the_variable_says_where_it_is(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HF_HUB_CACHE", str(cache))
        assert Dual(NAME).fingerprint["revision"] == COMMIT

    def test_revisions(self, cache: Path, made: Path) -> None:
        as_hub(made, cache, NAME, OTHER, "refs/pr/15")
        for revision, commit in ((COMMIT, COMMIT), (OTHER, OTHER), ("refs/pr/15", OTHER), ("main", COMMIT)):
            assert Dual(f"{NAME}@{revision}", cache=cache).fingerprint["revision"] == commit
        assert Dual(f"{NAME}@refs/pr/15", cache=cache).fingerprint["model"] == NAME

    def test_what_is_not_there_has_no_fingerprint_and_is_not_fetched(self, cache: Path) -> None:
        for given in ("someone/else", f"{NAME}@v2"):
            encoder = Dual(given, cache=cache)
            assert encoder.fingerprint == {}
            assert encoder.needs.pixels == UNKNOWN
            broken(given, rf"{given} is not on this.*HF_HUB_OFFLINE.*hf download.*dual:./FOLDER", cache=cache)

    @pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json", "preprocessor_config.json"])
    def test_a_fetch_that_was_not_finished_is_not_there(self, cache: Path, lost: str) -> None:
        (cache / "models--someone--tiny-clip" / "snapshots" / COMMIT / lost).unlink()
        assert Dual(NAME, cache=cache).fingerprint == {}
        broken(NAME, "has no", cache=cache)

    def test_a_pickle_in_the_cache_says_what_it_is(self, cache: Path) -> None:
        snapshot = cache / "models--someone--tiny-clip" / "snapshots" / COMMIT
        (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
        assert Dual(NAME, cache=cache).fingerprint == {}
        broken(NAME, "a pickle can run code", cache=cache)


class FakeHub:
    """What is at the other end of the network: one model, and what was asked for."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self.error: Exception | None = None
        self.asked: list[list[str]] = []

    def model_info(self, name: str, *, revision: str | None, files_metadata: bool) -> Any:
        assert files_metadata
        if self.error:
            raise self.error
        names = {path.name: path.stat().st_size for path in self.folder.iterdir()}
        siblings = [SimpleNamespace(rfilename=name, size=size) for name, size in names.items()]
        siblings += [SimpleNamespace(rfilename="onnx/model.safetensors", size=10**9)]
        return SimpleNamespace(sha=COMMIT, siblings=siblings)

    def snapshot_download(self, name: str, *, revision: str | None, cache_dir: str, allow_patterns: list[str]) -> str:
        self.asked.append(allow_patterns)
        some = self.cache.parent / f"sent{len(self.asked)}"
        some.mkdir()
        for path in self.folder.iterdir():
            if path.name in allow_patterns:
                shutil.copy(path, some)
        shutil.rmtree(self.cache, ignore_errors=True)
        return str(as_hub(some, Path(cache_dir), name, COMMIT, revision or "main"))


class TestFetching:
    @pytest.fixture
    def hub(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
        hub = FakeHub(folder, tmp_path / "hub")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
        monkeypatch.setattr("huggingface_hub.snapshot_download", hub.snapshot_download)
        return hub

    def test_it_takes_what_is_needed_and_says_how_much(self, hub: FakeHub, caplog: pytest.LogCaptureFixture) -> None:
        for name in ("pytorch_model.bin", "tf_model.h5", "own.py", "README.md", "flax_model.msgpack"):
            (hub.folder / name).write_bytes(b"x" * 1000)
        encoder = Dual(NAME, cache=hub.cache, device="cpu")
        assert encoder.fingerprint == {}
        assert hub.asked == []
        with caplog.at_level(logging.WARNING, "seehear"):
            assert encoder.dim == 24
        assert hub.asked == [
            ["config.json"],
            ["config.json", "model.safetensors", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"],
        ]
        (record,) = caplog.records
        size = sum((hub.folder / name).stat().st_size for name in hub.asked[1])
        said = f"Fetching {NAME} (commit {COMMIT}) from https://huggingface.co: 5 files, {size / 1e6:.0f} MB"
        assert record.getMessage().startswith(said)
        assert (encoder.fingerprint["revision"], encoder.needs.pixels) == (COMMIT, 64)
        encoder.embed([Text("a cat")], "query")
        assert ask(NAME, cache=hub.cache).shape == (1, 24)
        assert len(hub.asked) == 2

    def test_a_device_that_is_not_there_costs_nothing(self, hub: FakeHub) -> None:
        with pytest.raises(EncoderError, match="'cuda:99'"):
            Dual(NAME, cache=hub.cache, device="cuda:99").embed([Text("a cat")], "query")
        assert hub.asked == []

    def test_parts_are_fetched_too(self, hub: FakeHub) -> None:
        split(hub.folder)
        ask(NAME, cache=hub.cache)
        assert sum("-of-00002.safetensors" in name for name in hub.asked[1]) == 2

    def test_an_unknown_family_costs_one_small_file(self, hub: FakeHub) -> None:
        change(hub.folder / "config.json", model_type="bert")
        broken(NAME, "'bert'. Known are", cache=hub.cache)
        assert hub.asked == [["config.json"]]

    def test_a_pickle_is_not_fetched(self, hub: FakeHub) -> None:
        (hub.folder / "model.safetensors").rename(hub.folder / "pytorch_model.bin")
        broken(NAME, "pickle can run code", cache=hub.cache)
        assert hub.asked == []

    @pytest.mark.parametrize(
        ("error", "match"),
        [
            ("GatedRepoError", "gated: accept its terms at https://huggingface.co/someone/tiny-clip.*hf auth login"),
            (
                "RepositoryNotFoundError",
                r"There is no someone/tiny-clip at.*private.*write \./someone/tiny-clip for a fol",
            ),
            ("RevisionNotFoundError", "no revision 'v2'"),
            (
                "HfHubHTTPError",
                r"not on this computer.*fetched \(503\).*hf download .* --revision v2 --local.*dual:./FOLDER",
            ),
            ("LocalEntryNotFoundError", "cannot be fetched"),
        ],
    )
    def test_what_the_hub_refuses(self, hub: FakeHub, error: str, match: str) -> None:
        import huggingface_hub.errors

        kind = getattr(huggingface_hub.errors, error)
        hub.error = kind("503\nand more") if error == "LocalEntryNotFoundError" else kind.__new__(kind)
        hub.error.args = ("503\nand more",)
        broken(f"{NAME}@v2", match, cache=hub.cache)

    def test_no_network(self, hub: FakeHub) -> None:
        hub.error = ConnectionError("no route to host")
        broken(NAME, r"cannot be fetched \(no route to host\).*hf download.*\./FOLDER", cache=hub.cache)


def split(folder: Path) -> None:
    """Cut the weights of a checkpoint into two files with an index."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {f"model-0000{n + 1}-of-00002.safetensors": names[n::2] for n in range(2)}
    for name, held in parts.items():
        save_file({one: weights[one] for one in held}, folder / name, metadata={"format": "pt"})
    index = {"metadata": {}, "weight_map": {one: name for name, held in parts.items() for one in held}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
