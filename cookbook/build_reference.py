"""Build the references that `seehear check` compares with.

    python cookbook/build_reference.py clip_vitb32_openai.npz

`clip.npz` takes some of the texts of the file given, which holds true vectors of OpenAI's CLIP ViT-B/32
(`text_prompts`, `text_embeds`), and names the preprocessing that a test holds against the true one.
`mini.npz` is what `mini` makes of the fixed contents, here and now.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import seehear
from seehear.check import write
from seehear.modalities.encoders.families import CLIP, describe
from seehear.modalities.encoders.mini import Mini

TEXTS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, metavar="FILE.npz")
    parser.add_argument("--out", type=Path, default=Path(seehear.__file__).parent / "references", metavar="DIR")
    given = parser.parse_args()
    folder = given.out
    with np.load(given.clip, allow_pickle=False) as held:
        chosen = np.linspace(0, len(held["text_prompts"]) - 1, TEXTS).round().astype(int)
        texts, rows = held["text_prompts"][chosen], held["text_embeds"][chosen].astype(np.float32)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    preprocessing = np.array(describe(CLIP.preprocessing))
    np.savez(folder / "clip.npz", texts=texts, text_rows=units, preprocessing=preprocessing)
    write(folder / "mini.npz", Mini())
    for path in sorted(folder.glob("*.npz")):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
