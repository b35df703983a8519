"""The correct key gives the plain model's answers: models under every scheme, queries encrypted explicitly.

``python benchmarks/exactness.py [--model SPEC …] [--blocks … --block M]`` prints a Markdown table; without ``--model``
every bundled model. A difference is between what model and encrypted model compute of one utterance of the bundled
voices (embeddings, logits, or what a recogniser decodes), relative to the largest plain answer.
"""

from __future__ import annotations

import argparse

import torch

from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.experiment import key_cut_of
from wrongkey.evaluation.models.offered import BUNDLED
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import SCHEMES, SecretKey


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=list(BUNDLED), help="as for 'wrongkey sweep'")
    parser.add_argument("--blocks", choices=["samples", "tiles", "frames"])
    parser.add_argument("--block", type=int)
    options = parser.parse_args()
    utterance = open_corpus("bundled").utterances[0]
    print("| model | key | scheme | float32 | bfloat16 | largest plain answer |")
    print("| :--- | :--- | :--- | ---: | ---: | ---: |")
    for spec in options.model:
        model = open_model(spec)
        cut = key_cut_of(model, options.blocks, options.block)
        waveform = torch.from_numpy(load_audio(utterance, model.sample_rate))
        for scheme in SCHEMES:
            key = SecretKey.from_seed(scheme, cut.block_size, cut.dims, seed=0)
            single, half = (exactness(model, key, cut.blocks, waveform, d) for d in (torch.float32, torch.bfloat16))
            print(
                f"| {model.name} | {cut.blocks}, M = {cut.block_size} | {scheme} "
                f"| {single.relative:.1e} | {half.relative:.1e} | {single.largest:.3g} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
