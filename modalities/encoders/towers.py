"""The two towers of a checkpoint, in PyTorch, through the classes of transformers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seehear.errors import EncoderError
from seehear.types import Waveform

from .checkpoint import NEEDED, Checkpoint
from .extras import extra
from .families import Unusable, precision_for
from .hub import AGAIN, spoken_for
from .loading import full, in_batches, load_model, load_tokenizer
from .pictures import middle, ready
from .sounds import windows
from .texts import Texts

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    Array = NDArray[np.float32]


class Towers:
    """A loaded checkpoint: its tokeniser, what prepares its pictures or sounds, and its network."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, precision: str | None) -> None:
        """Load: EncoderError, MissingExtra."""
        with extra(*NEEDED):
            import torch
            import transformers
        self._family = checkpoint.family
        self.device, self.dim = device, checkpoint.dim
        asked, on_gpu = precision or os.environ.get("SEEHEAR_PRECISION"), device.type == "cuda"
        try:
            self.precision = precision_for(self._family, asked, on_gpu, on_gpu and torch.cuda.is_bf16_supported(False))
        except Unusable as error:
            raise EncoderError(f"{checkpoint.address.given} {error}.") from error
        self._given = checkpoint.address.given
        self._batch = 16 if self.device.type == "cpu" else 64  # larger ones are no faster, and take memory
        model = load_model(checkpoint, getattr(torch, self.precision))
        try:
            self._model = model.to(self.device)
        except torch.OutOfMemoryError as error:
            raise full(self._given, self.device) from error
        tokenizer = load_tokenizer(checkpoint)
        with spoken_for(f"The tokeniser of {self._given} is no use"):
            self.texts = Texts(tokenizer, self._family, checkpoint.tokens)
        self._said = checkpoint.preprocessing
        if self._family.kind == "audio":
            self._extractor = getattr(transformers, self._family.processor)(**self._said)
            return
        # Scaling and normalising are left to the device: on a CPU it costs a quarter of what NumPy takes.
        sized = {**self._said, "do_rescale": False, "do_normalize": False, "do_convert_rgb": False}
        self._processor = getattr(transformers, f"{self._family.processor}Pil")(**sized)
        self._crops = bool(self._said.get("do_center_crop"))
        scale = self._said["rescale_factor"] if self._said["do_rescale"] else 1.0
        colours = ((0.0,) * 3, (1.0,) * 3)
        mean, std = (self._said["image_mean"], self._said["image_std"]) if self._said["do_normalize"] else colours
        both = [scale / one for one in std], [one / of for one, of in zip(mean, std, strict=True)]
        self._colours = torch.tensor(both, device=self.device)

    def read(self, texts: Sequence[str]) -> Array:
        """Embed texts: float32 (len(texts), dim), unit rows, in order; of several parts, their mean."""
        import torch

        with spoken_for(f"The tokeniser of {self._given} is no use"):
            parts = self.texts.parts(texts)
        every = [ids for of_one in parts for ids in of_one]
        # Parts of like length go together, so that little is computed for padding.
        order = sorted(range(len(every)), key=lambda place: len(every[place]))
        rows = np.empty((len(every), self.dim), np.float32)

        def some(places: Sequence[int]) -> Array:
            padded = self.texts.padded([every[place] for place in places])
            inputs = {name: torch.from_numpy(one).to(self.device) for name, one in padded.items()}
            with torch.inference_mode():
                return self._unit(self._model.get_text_features(**inputs).pooler_output)

        rows[order] = in_batches(order, 4 * self._batch, some, self._given, self.device)
        return means(rows, [len(of_one) for of_one in parts])

    def see(self, pictures: Sequence[NDArray[np.uint8]]) -> Array:
        """Embed pictures (height, width, 3): float32 (len(pictures), dim), unit rows, in order."""
        import torch

        def some(given: Sequence[NDArray[np.uint8]]) -> Array:
            inputs = self.prepare(given)
            inputs["pixel_values"] = inputs["pixel_values"].to(getattr(torch, self.precision))
            with torch.inference_mode():
                return self._unit(self._model.get_image_features(**inputs).pooler_output)

        return in_batches(pictures, self._batch, some, self._given, self.device)

    def prepare(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, torch.Tensor]:
        """What the network takes, on its device: `pixel_values` float32, and what else the family wants."""
        import torch

        for one in pictures:
            if one.dtype != np.uint8 or one.ndim != 3 or one.shape[2] != 3 or not one.size:
                raise TypeError(f"A picture is uint8 (height, width, 3), not {one.dtype} {one.shape}.")
        given = [middle(one) if self._crops else one for one in pictures]
        if (cut := ready(given, self._said)) is not None:
            inputs = {"pixel_values": torch.from_numpy(cut).to(self.device).permute(0, 3, 1, 2).contiguous()}
        else:
            sized = self._processor(given, input_data_format="channels_last", return_tensors="pt")
            inputs = {name: value.to(self.device) for name, value in sized.items()}
        values = inputs["pixel_values"]  # (n, 3, height, width), or (n, patches, height * width * 3)
        planes = values.ndim == 4
        scale, shift = (one.view(3, 1, 1) if planes else one.repeat(values.shape[-1] // 3) for one in self._colours)
        return inputs | {"pixel_values": values * scale - shift}

    def hear(self, sounds: Sequence[Waveform]) -> Array:
        """Embed sounds: float32 (len(sounds), dim), unit rows, in order; of several windows, their mean."""
        import torch

        parts = [windows(sound, self._said) for sound in sounds]

        def some(given: Sequence[Array]) -> Array:
            inputs = self.listen(given)
            inputs["input_features"] = inputs["input_features"].to(getattr(torch, self.precision))
            with torch.inference_mode():
                return self._unit(self._model.get_audio_features(**inputs).pooler_output)

        every = [window for of_one in parts for window in of_one]
        rows = in_batches(every, self._batch, some, self._given, self.device)
        return means(rows, [len(of_one) for of_one in parts])

    def listen(self, sounds: Sequence[Array]) -> dict[str, torch.Tensor]:
        """What the network takes of windows, on its device: `input_features` float32, and that none `is_longer`."""
        import torch

        made = self._extractor(list(sounds), sampling_rate=self._said["sampling_rate"])["input_features"]
        features = torch.from_numpy(np.stack(made).astype(np.float32)).to(self.device)
        # The extractor says of a random one that it is longer, which would mix in what it has cut out of it.
        return {"input_features": features, "is_longer": torch.zeros(len(sounds), 1, dtype=torch.bool)}

    def _unit(self, rows: torch.Tensor) -> Array:
        if rows.shape[1] != self.dim:
            raise EncoderError(f"The towers of {self._given} give vectors of {self.dim} and {rows.shape[1]} numbers.")
        rows = rows.float()
        length = rows.norm(dim=1, keepdim=True)
        if not bool(((length > 0) & length.isfinite()).all()):
            cure = 'half precision does not suffice for it: say precision="float32", or SEEHEAR_PRECISION=float32.'
            cure = cure if self.precision != "float32" else f"its weights are broken: {AGAIN}"
            raise EncoderError(f"In {self.precision}, {self._given} gives vectors that hold no numbers; {cure}")
        unit: Array = (rows / length).cpu().numpy()
        return unit


def means(rows: Array, counts: Sequence[int]) -> Array:
    """The mean of each run of `counts` unit rows, as a unit row; a run of one stays what it is."""
    if max(counts) == 1:
        return rows
    starts = np.cumsum([0, *counts[:-1]])
    found = np.add.reduceat(rows, starts)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    single = np.equal(counts, 1)
    found[single] = rows[starts[single]]
    return found
