"""The correct key gives the plain model's EER: every bundled model under every scheme, queries encrypted explicitly.

``python benchmarks/exactness.py [--corpus bundled] [--trials corpus] [--per-speaker N]`` prints a Markdown table.
"""

from __future__ import annotations

import argparse

from evaluation.experiment import Experiment, SweepConfig
from evaluation.metrics import eer
from evaluation.models.protocol import BUNDLED
from keys import SCHEMES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--trials", default="corpus", help="'corpus', a file, or 'generated' (same gender)")
    parser.add_argument("--per-speaker", type=int)
    options = parser.parse_args()
    trials = None if options.trials == "generated" else options.trials
    print("| model | scheme | EER plain | EER correct key | largest embedding difference | largest embedding entry |")
    print("| :--- | :--- | ---: | ---: | ---: | ---: |")
    for model in BUNDLED:
        for scheme in SCHEMES:
            experiment = Experiment(
                SweepConfig(
                    model=model, scheme=scheme, corpus=options.corpus, trials=trials, same_gender=trials is None,
                    per_speaker=options.per_speaker, device="cpu",
                )
            )  # fmt: skip
            plain, correct = experiment.plain(), experiment.explicit(experiment.correct)
            rates = [float(eer(experiment.scores(x[None]), experiment.task.target)) for x in (plain, correct)]
            difference = float((correct - plain).abs().max())
            print(
                f"| {model} | {scheme} | {rates[0]:.4f} | {rates[1]:.4f} | {difference:.1e} "
                f"| {float(plain.abs().max()):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
