"""Run folders that keep the strength of a key, as `wrongkey strength` writes them."""

import json
from pathlib import Path
from typing import Any

from tests.reports.conftest import write_run

WITHIN = (1.0, 2.0, 5.0)


def estimate(within: float, bits: float | None, why_not: str = "") -> dict[str, Any]:
    """An estimate whose three repetitions lie a bit around their mean."""
    if bits is None:
        nothing = dict.fromkeys(("bits", "bits_low", "bits_high", "probability", "guesses"))
        return {"within": within, "goal": 7.5 + within, **nothing, "why_not": why_not, "repetitions": []}
    repetitions = [
        {
            "log10_probability": -max(bits + shift, 0.0) * 0.30103,
            "levels": 5,
            "evaluations": 1_500,
            "acceptance": [0.41, 0.35, 0.3],
            "ancestors": 12,
        }
        for shift in (-0.8, 0.1, 0.7)
    ]
    numbers = {"bits": bits, "bits_low": max(bits - 1.5, 0.0), "bits_high": bits + 1.5}
    numbers |= {"probability": 2.0**-bits, "guesses": 2.0 ** min(bits, 1000)}
    return {"within": within, "goal": 7.5 + within, **numbers, "why_not": "", "repetitions": repetitions}


def write_strength(
    folder: Path,
    bits: tuple[float | None, ...] = (13.8, 11.2, 7.5),
    *,
    nominal: float | None = 111.3,
    alone: bool = True,
    why_not: str = "The repetitions differ by 4.1 bits, more than 2.",
    recordings: str | None = "real",
    manifest: dict[str, Any] | None = None,
    **setting: Any,
) -> Path:
    """Write a folder with a strength; `alone`: without the score of an incorrect key."""
    said: dict[str, Any] = {
        "task": "asv",
        "model": "asv-raw10",
        "corpus": "toy",
        "scheme": "rom",
        "block_size": 10,
        "dims": 1,
    }
    said |= {name: value for name, value in setting.items() if name in said}
    sessions = [{"command": f"wrongkey strength --model {said['model']} --within 1,2,5 --out /home/jane/{folder.name}"}]
    about: dict[str, Any] = {"corpus_recordings": recordings, "sessions": sessions, **(manifest or {})}
    metric = {"asr": "wer"}.get(said["task"], "eer")
    write_run(folder, [30.0, 31.0], metric=metric, **said, **about)
    if alone:
        for shard in (folder / "scores").glob("incorrect-*"):
            shard.unlink()
    content: dict[str, Any] = {
        "format": "wrongkey-strength/1", **said, "recordings": recordings, "blocks": "samples",
        "size": said["block_size"], "variant": "both", "metric": metric, "plain": 7.5,
        "settings": {"population": 200, "share": 0.2, "moves": 4, "repetitions": 3, "within": list(WITHIN), "seed": 0},
        "nominal_bits": nominal, "tolerance": None if nominal is None else 0.1,
        "estimates": [estimate(within, one, why_not) for within, one in zip(WITHIN, bits, strict=False)],
        "evaluations": 15_300, "best": 7.6, "best_distance": 1.31, "cpu_seconds": 412.5, "state": "complete",
    }  # fmt: skip
    content |= {name: value for name, value in setting.items() if name not in said or name in content}
    (folder / "strength").mkdir()
    (folder / "strength" / "strength.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
