"""Damage run folders at random and open them with everything that reads them.

A run folder may come from a stranger, a failing disk or an editor: every reader either does its work or prints one
sentence (`BadInput`), a table that was changed is never shown with other numbers, and the sweep that continues the
folder ends with the numbers that an undamaged one has.

    python benchmarks/fuzz_run_folder.py --mutations 2000
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import os
import random
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.begin import set_batch_size
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.engine import BatchSize
from wrongkey.evaluation.run_folder import compaction, groups
from wrongkey.evaluation.run_folder.compaction import compact
from wrongkey.evaluation.run_folder.folder import RunFolder, shard_name
from wrongkey.evaluation.run_folder.manifest import describe_run
from wrongkey.evaluation.run_folder.media import Clip, kept_clips, read_clips, row_of
from wrongkey.evaluation.run_folder.schema import Suite, Verdicts, read_json, read_manifest
from wrongkey.evaluation.run_folder.tables import FORMAT, identity_digest, write_table
from wrongkey.evaluation.strength.folder import StrengthFolder
from wrongkey.evaluation.strength.splitting import Population
from wrongkey.keys.blocks import Blocks
from wrongkey.keys.key_cut import KeyCut
from wrongkey.reports.analyses import read_analysis
from wrongkey.reports.attacks.verdict_file import write_verdicts

IDENTITY = {"seed": 0, "weights": "a" * 64, "plain answers": 0.5}
SETTING = {"task": "asv", "model": "toy", "corpus": "voices", "scheme": "rom", "block_size": 3, "dims": 1}
KEYS, SHARD = 24, 8
CHAINS = {"population": 200}  # what the chains of a strength run depend on
JSON = (
    *("manifest.json", "attacks/suite.json", "attacks/verdicts.json", "media/clips.json", "strength/strength.json"),
    *("analyses/keys.json", "analyses/decryption.json", "analyses/phase.json", "analyses/leaks.json"),
)
TABLES = "*/*.parquet"  # scores, outputs, attacks, analyses and the chains of strength
EXAMPLE_COLUMNS = ("picture", "step", "frame", "bin", "value")
MEDIA = ("media/*.opus", "media/*.npy", "media/*/*")
NUMBERS = ("value", "key_index", "error", "tie")  # of which a table is edited by the first that it has
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 3, 2.5, -0.0, 10**18, 10**400, -(10**30), float("nan"), float("inf"), 1e308, "", "x",
    "rom", "0", "\x1b[31m", "../..", "é" * 3, "a" * 5000, [], {}, [[]], [None], {"": None}, [1, "a"], {"name": 5},
]  # fmt: skip
LITERALS = [
    b"[" * 5000, b'{"a":' * 3000, b"9" * 6000, b"1e999", b"NaN", b"-Infinity", b'"\\ud800"', b'"\\u0000"', b"\xff\xfe",
    b"\xef\xbb\xbf", b"", b"nul", b"[1,", b"'x'", b"{}" * 3, b"0x10", b"1_000",
]  # fmt: skip


def make(place: Path, seed: int = 0, *, compacted: bool = False) -> Path:
    """A run folder of a finished sweep with kept outputs, attacks and an analysis, made without a model.

    A compacted one, which keeps no outputs, holds all incorrect keys in one score file, in a group for every shard.
    """
    generator = np.random.default_rng(seed)
    identity = IDENTITY | {"seed": seed}
    run = RunFolder(place)
    run.claim(identity)
    run.write_manifest(_manifest(identity, keep_outputs=not compacted))
    conditions = [_row(name, -1, metric, 8.0, seed) for name in ("plain", "correct") for metric in ("eer", "min_dcf")]
    run.write_scores("conditions", conditions)
    for start in range(0, KEYS, SHARD):
        stop = start + SHARD
        scores = {metric: generator.uniform(9, 50, SHARD) for metric in ("eer", "min_dcf")}
        if not compacted:
            kept = [generator.normal(size=6).astype(np.float32) for _ in range(SHARD)]
            run.write_outputs(shard_name(start, stop), pd.DataFrame({"key_index": range(start, stop), "scores": kept}))
        rows = [
            _row("incorrect", start + i, metric, float(value), seed)
            for metric, values in scores.items()
            for i, value in enumerate(values)
        ]
        run.write_scores(shard_name(start, stop), rows)
    if compacted:
        with mock.patch.object(compaction, "GROUP_ROWS", 2 * SHARD), mock.patch.object(groups, "GROUP_ROWS", 2 * SHARD):
            compact(run.path, read_manifest(run.path))
    _attacks(run, generator, seed)
    _analysis(run, generator)
    _decryption(run, generator)
    _phase_and_leaks(run, generator)
    _clips(run, generator)
    _strength(run, generator)
    return place


def _row(condition: str, key: int, metric: str, value: float, seed: int) -> dict[str, Any]:
    place = {"condition": condition, "key_seed": seed, "key_index": key, "metric": metric}
    return {**SETTING, **place, "value": value, "ci_low": value - 1, "ci_high": value + 1, "n": 40}


def _manifest(identity: dict[str, Any], *, keep_outputs: bool) -> dict[str, Any]:
    session = {"started": "2026-01-01", "device": "cpu", "versions": {"torch": "2"}, "git": None, "command": "wrongkey"}
    specs = {"model_spec": "toys:toy", "corpus_spec": "folder:voices", "blocks": "samples", "variant": "both"}
    check = {"name": "correct key", "passed": True, "value": 1e-7, "limit": 1e-4, "text": "difference"}
    return {
        "config": {**SETTING, **specs, "keys": KEYS, "seed": identity["seed"], "keep_outputs": keep_outputs},
        "identity": identity,
        **{name: session[name] for name in ("started", "device", "versions", "git")},
        "sessions": [session],
        "batch": {"rows": 32},
        "corpus": {"name": "voices", "speakers": 4, "utterances": 12, "seconds": 12.0, "recordings": "real"},
        "trials": {"target": 20, "nontarget": 20, "source": "generated"},
        "classes": ["a", "b"],
        "model_card": {"family": "toy"},
        "key_space": None,
        "enumerated": False,
        "ended": "2026-01-02",
        "seconds": 5.0,
        "self_checks": [check],
        "cautions": [],
        "tied_keys": [3],
        "keys_done": KEYS,
    }


def _attacks(run: RunFolder, generator: np.random.Generator, seed: int) -> None:
    setting = {"model": "toy", "task": "asv", "corpus": "voices", "recordings": "real", "victims": 2, "others": 2}
    setting |= {"scheme": "rom", "blocks": "samples", "block_size": 3, "size": 3, "rate": 16000.0}
    about = {"family": 5, "adversary": "Guesses.", "needs": ["ciphertext"], "obstacle": None}
    suite = {
        "format": Suite.FORMAT,
        "tables": FORMAT,
        "config": {"trials": 3},
        "identity": {"seed": seed},
        "setting": setting,
        "sessions": [{"command": "wrongkey attack suite"}],
        "attacks": {"order": about, "public": about | {"obstacle": "No model."}},
        "ended": None,
    }
    rows = [
        {"attack": "order", "family": 5, "trial": trial, "given": f"{seconds} s", "given_seconds": float(seconds)}
        | {"key_error": generator.uniform(), "snr": 20.0, "stoi": 0.9, "error": 9.0, "queries": 0, "seconds": 1.0}
        | {"measured": json.dumps({"fit": 0.5})}
        for seconds in (2, 5)
        for trial in range(3)
    ]
    run.make("attacks")
    run.write_json("attacks/suite.json", suite)
    write_table(run.path / "attacks/order.parquet", pd.DataFrame(rows), identity_digest({"seed": seed}), "attack")
    write_verdicts(run.path)


def _analysis(run: RunFolder, generator: np.random.Generator) -> None:
    error = generator.uniform(9, 50, KEYS)
    rows = pd.DataFrame({"key_index": range(KEYS), "score": error, "error": error, "euclidean": error / 40})
    rows["group"] = np.where(error < 20, "low", np.where(error > 40, "high", "middle"))
    group = {"keys": 6, "error_from": 9.0, "error_to": 20.0, "q25": 0.2, "median": 0.3, "q75": 0.4}
    entry = {"name": "euclidean", "label": "distance", "correlation": 0.1, "low": -0.1, "high": 0.3}
    prediction = {"from": "all", "keys": KEYS, "rho": 0.5, "low": 0.1, "high": 0.7, "r2": 0.3, "hits": 0.5}
    about = {
        "measures": [entry],
        "groups": {"low": group, "high": group, "nearer": 0.5, "nearer_low": 0.4, "nearer_high": 0.6},
        "prediction": [prediction],
        "sentences": ["Nothing predicts."],
    }
    _write_analysis(run, "keys", {"keys": rows}, about)


def _write_analysis(run: RunFolder, name: str, tables: dict[str, pd.DataFrame], about: dict[str, Any]) -> None:
    """An analysis with its tables, the first of which has its name."""
    run.make("analyses")
    seals = {
        one: write_table(run.path / f"analyses/{one}.parquet", rows, "", "analysis") for one, rows in tables.items()
    }
    shared = {
        "format": "wrongkey-analysis/1",
        "name": name,
        "run": run.digest(),
        "tables": {one: seal.checksum for one, seal in seals.items()},
        "setting": {**SETTING, "blocks": "samples", "recordings": "synthetic"},
        "metric": "eer",
        "command": f"wrongkey analyse {name}",
    }
    run.write_json(f"analyses/{name}.json", shared | about)


def _decryption(run: RunFolder, generator: np.random.Generator) -> None:
    rows, summary = [], []
    for draw, (kind, step) in enumerate((("correct key", None), ("geodesic step", 0.5), ("incorrect key", None))):
        for metric in ("key_error", "snr", "stoi", "eer"):
            value = generator.uniform(1, 40)
            rows.append({"kind": kind, "step": step, "draw": draw, "utterance": None, "metric": metric, "value": value})
            told = {"keys": 1, "median": value, "min": value, "max": value}
            summary.append({"kind": kind, "step": step, "metric": metric, **told})
    frame, place = np.meshgrid(np.arange(4), np.arange(3))
    image = {"frame": frame.ravel(), "bin": place.ravel(), "value": generator.normal(size=12)}
    pictures = [("plain", np.nan), ("encrypted", np.nan), *((kind, step) for kind, step in (("correct key", np.nan),))]
    example = pd.concat(pd.DataFrame(image).assign(picture=name, step=step) for name, step in pictures)
    tables = {"decryption": pd.DataFrame(rows), "decryption-example": example.reset_index(drop=True)}
    _write_analysis(run, "decryption", tables, {"plain": 9.0, "summary": summary})


def _phase_and_leaks(run: RunFolder, generator: np.random.Generator) -> None:
    """Both with the arrays that figures show."""
    for name, metric in (("phase", "stoi"), ("leaks", "energy")):
        shared = {"experiment": name, "scheme": "rom", "block_size": 3, "blocks": "samples", "method": "pghi"}
        rows = [
            {**shared, "condition": condition, "utterance": f"u{i}", "metric": metric, "value": generator.uniform()}
            for condition in ("plain", "encrypted", "chance")
            for i in range(3)
        ]
        _write_analysis(run, name, {name: pd.DataFrame(rows)}, {})
        run.make(f"media/{name}")
    media = run.path / "media"
    speech = {name: generator.normal(size=400).astype(np.float16) for name in ("plain", "rom-3")}
    np.savez_compressed(media / "leaks/a-samples.npz", allow_pickle=False, **speech)
    pictures = {name: generator.normal(size=(9, 8)) for name in ("plain", "encrypted")}
    np.savez_compressed(media / "phase/a-rom-3-decryptions.npz", allow_pickle=False, **pictures)
    shown = {"reconstructed": pictures["plain"]}
    np.savez_compressed(media / "phase/a-rom-3-encrypted-pghi.npz", allow_pickle=False, **shown)
    soundfile.write(media / "phase/a-rom-3-encrypted-pghi.wav", generator.normal(size=800) / 9, 16_000)


def _clips(run: RunFolder, generator: np.random.Generator) -> None:
    """A waveform of the sweep, and a spectrogram of an attack."""
    for attack, shape in (("", 1600), ("order", (9, 8))):
        clips = [
            Clip("original", generator.normal(size=shape)),
            Clip("wrong key", generator.normal(size=shape), 1.0, 0),
        ]
        about = {**SETTING, "attack": attack, "given": "", "voice": "v", "recordings": "synthetic", "keyed": True}
        about |= {"blocks": "samples" if shape == 1600 else "tiles", "front_end": False}
        fields = {name: value for name, value in about.items() if name not in ("task", "dims")}
        with kept_clips(run.path) as kept:
            kept[attack] = row_of(clips, 16_000.0, **fields)


def _strength(run: RunFolder, generator: np.random.Generator) -> None:
    repetition = {"log10_probability": -4.2, "levels": 5, "evaluations": 900, "acceptance": [0.4, 0.3], "ancestors": 9}
    numbers = {"within": 1.0, "goal": 9.0, "bits": 13.8, "bits_low": 12.3, "bits_high": 15.3, "probability": 7e-5}
    about = {
        "format": "wrongkey-strength/1",
        **SETTING,
        **{"recordings": "real", "blocks": "samples", "size": 3, "variant": "both", "metric": "eer", "plain": 8.0},
        "settings": {"population": 200, "share": 0.2, "moves": 4, "repetitions": 1, "within": [1.0], "seed": 0},
        **{"nominal_bits": 14.0, "tolerance": 0.1},
        "estimates": [{**numbers, "guesses": 14_000.0, "why_not": "", "repetitions": [repetition]}],
        **{"evaluations": 900, "best": 8.5, "best_distance": 1.2, "cpu_seconds": 60.0, "state": "complete"},
    }
    strength = StrengthFolder(run, CHAINS)
    strength.write({name: value for name, value in about.items() if name != "format"})
    whole = np.arange(4)
    states = generator.integers(2**63, size=(4, 2), dtype=np.uint64)
    chains = Population(states, generator.uniform(size=4), generator.uniform(size=4), whole, whole)
    strength.keep(0, 1, 0, chains)


def look(folder: Path, other: Path, *, draw: bool) -> None:
    """Everything that shows a run folder: report (with `draw` the page itself), compare, ls and view.

    All of them read it, also after the first that refuses; then its BadInput is raised.
    """
    readers: list[Callable[[Path], object]] = [_list, _sweep, partial(_compare, other), _parts, _chains, _verdicts]
    readers += [_heard, _render, *([_draw] if draw else [])]
    _all(partial(read, folder) for read in readers)


def _all(acts: Iterable[Callable[[], object]]) -> None:
    """Do all, also after one that refuses; the first BadInput is raised in the end."""
    refusals = []
    for act in acts:
        try:
            act()
        except BadInput as error:
            refusals.append(error)
    if refusals:
        raise refusals[0]


def _list(folder: Path) -> list[dict[str, Any]]:
    """What `wrongkey ls` says of each thing in the folder; it refuses none, and says of some that it cannot read it."""
    from wrongkey.commands import ls

    written = []
    for json_asked in (False, True):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert ls.run(argparse.Namespace(folder=folder, json=json_asked)) == 0
        written.append(out.getvalue())
    found: list[dict[str, Any]] = json.loads(written[1])
    assert len(written[0].splitlines()) == len(found), "a line for each"
    return found


def _sweep(folder: Path) -> None:
    from wrongkey.reports import load_run, summarise
    from wrongkey.reports.verdicts import cautions, check_rows, headline

    run = load_run(folder)
    result = summarise(run)
    str((headline(result), cautions(result), check_rows([result]), run.family, run.setting))


def _compare(other: Path, folder: Path) -> None:
    from wrongkey.reports import compare, load_run

    str(compare(load_run(other), load_run(folder), draws=20))


def _parts(folder: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """Attacks, analyses and strengths, as the report reads them, with their tables."""
    from wrongkey.reports import find_strength, strength_figure, strength_table
    from wrongkey.reports.analyses import decryption_table, find_analyses, group_table, prediction_table, rows_table
    from wrongkey.reports.attacks.rows import find_attacks

    attacks, analyses, strengths = find_attacks([folder]), find_analyses([folder]), find_strength([folder])
    str((group_table([one for one in analyses if one.name == "keys"]), prediction_table(analyses)))
    for one in analyses:
        if one.name in ("phase", "leaks"):
            str(rows_table(one))
        if one.name == "decryption":
            str((decryption_table(one), one.companion("decryption-example", EXAMPLE_COLUMNS)))
    str((strength_table(strengths), strength_figure(strengths)))
    return attacks, analyses, strengths


def _chains(folder: Path) -> dict[tuple[int, int], Population]:
    """What `wrongkey strength` takes up again; chains that are damaged are computed again."""
    strength = StrengthFolder(RunFolder(folder), CHAINS)
    strength.content()
    return strength.kept(0, 1)


def _verdicts(folder: Path) -> None:
    path = folder / "attacks" / "verdicts.json"
    if path.exists():
        read_json(path, Verdicts)


def _heard(folder: Path) -> None:
    """Clips, and what analyses kept for the paper's figures."""
    from wrongkey.reports.listen import find_clips
    from wrongkey.reports.paper.media import kept_by_leaks, kept_by_phase
    from wrongkey.view.sound import kept_speech

    find_clips([folder])
    for blocks in ("samples", "tiles"):
        kept_speech(folder, blocks, real=False)
    read_clips(folder)
    str((kept_by_leaks(folder, "samples"), list(kept_by_phase(folder))))


def _render(folder: Path) -> None:
    from wrongkey.reports import load_run
    from wrongkey.reports.content import report_content
    from wrongkey.reports.page.html import render

    attacks, analyses, strengths = _parts(folder)
    render(report_content([load_run(folder)], attacks, analyses, strengths=strengths), {})


def _draw(folder: Path) -> None:
    from wrongkey.reports import load_run, write_report

    attacks, analyses, strengths = _parts(folder)
    write_report([load_run(folder)], folder / "page.html", attacks=attacks, analyses=analyses, strengths=strengths)


def resume(folder: Path, identity: dict[str, Any] = IDENTITY) -> RunFolder:
    """What a sweep and the suite do with a folder before they ask a model."""
    config = SweepConfig(
        model="toys:toy", corpus="folder:voices", keys=KEYS, keep_outputs=(folder / "outputs").is_dir()
    )
    run = RunFolder(folder)
    with run.locked():
        before = run.claim(identity)
        experiment: Any = SimpleNamespace(
            config=config,
            corpus=SimpleNamespace(name="voices", recordings="real"),
            used=[],
            task=SimpleNamespace(about=lambda: {"trials": None}, metric="eer"),
            device=SimpleNamespace(type="cpu"),
            engine=SimpleNamespace(batch=BatchSize(2, "as asked for")),
            model=SimpleNamespace(name="toy", sample_rate=16_000, front_end=abs),
            scheme=SimpleNamespace(name="rom"),
            incorrect=SimpleNamespace(total=None, enumerated=False),
            cut=KeyCut(Blocks.SAMPLES, 3),
            preparation=SimpleNamespace(about=lambda: None),
            **{"bins": None, "seconds": 1.0},
        )
        set_batch_size(experiment, before)
        manifest = describe_run(experiment, before, identity, "wrongkey sweep")
        manifest["config"] |= {"task": "asv"}
        set((before or {}).get("tied_keys", ()))
        run.write_manifest(manifest)
        run.missing(KEYS, SHARD)
    suite = folder / "attacks" / "suite.json"
    if suite.exists():
        read_json(suite, Suite)
    return run


def mutate_json(path: Path, chance: random.Random) -> str:
    """Change one thing in a JSON file, and say what."""
    content = path.read_bytes()
    kind = chance.choice(["value"] * 6 + ["drop", "type", "literal", "bytes", "bytes", "whole"])
    if kind in ("value", "drop", "type"):
        found = json.loads(content)
        table, name = chance.choice(list(_places(found)))
        if kind == "drop":
            del table[name]
        else:
            table[name] = chance.choice(VALUES) if kind == "value" else [table[name]]
        path.write_text(json.dumps(found))
        return f"{kind} of {name}"
    literal = chance.choice(LITERALS)
    if kind == "literal":
        places = [place for place, char in enumerate(content) if char in b":"]
        place = chance.choice(places) + 1
        content = content[:place] + literal + content[content.find(b",", place) :]
    elif kind == "whole":
        content = chance.choice([literal, content * 2, content.decode().encode("utf-16"), content[::-1]])
    else:
        content = _mangle(content, chance)
    path.write_bytes(content)
    return kind


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (table, name) and (list, index) in a value."""
    for name, part in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, name
        if isinstance(part, dict | list):
            yield from _places(part)


def _mangle(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    size = chance.randrange(1, 40)
    return chance.choice(
        [
            content[:place],
            content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :],
            content[:place] + content[place + size :],
            content[:place] + bytes(chance.randrange(256) for _ in range(size)) + content[place + size :],
            content[:place] + bytes(size) + content[place + size :],
            content[:place] + content[:size] + content[place:],
        ]
    )


def mutate_media(folder: Path, chance: random.Random) -> str:
    """Change the bytes of a clip, or of an array or a sound that an analysis kept, and say of which."""
    path = chance.choice(sorted(path for pattern in MEDIA for path in folder.glob(pattern)))
    path.write_bytes(_mangle(path.read_bytes(), chance))
    return f"bytes of {path.name}"


def mutate_table(folder: Path, other: Path, chance: random.Random, tables: str = TABLES) -> str:
    """Damage one Parquet file, or change its place, and say how."""
    paths = sorted(folder.glob(tables))
    path = chance.choice(paths)
    kind = chance.choice(["bytes"] * 6 + ["empty", "swap", "foreign", "rename", "rows", "stripped", "edited", "gone"])
    if kind == "bytes":
        path.write_bytes(_mangle(path.read_bytes(), chance))
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "swap":
        second = chance.choice(paths)
        one, two = path.read_bytes(), second.read_bytes()
        path.write_bytes(two)
        second.write_bytes(one)
    elif kind == "foreign":
        shutil.copy(other / path.relative_to(folder), path)
    elif kind == "rename":
        path.rename(path.with_name(f"{shard_name(chance.randrange(40), chance.randrange(40, 60))}.parquet"))
    elif kind == "gone":
        path.unlink()
    else:
        _rewrite(path, kind, chance)
    return f"{kind} of {path.parent.name}/{path.name}"


def _rewrite(path: Path, kind: str, chance: random.Random) -> None:
    """Fewer rows or another score under the old metadata, or the same rows without it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    frame = table.to_pandas()
    if kind == "rows":
        frame = frame.iloc[: chance.randrange(len(frame))]
    if kind == "edited":
        column = next(name for name in NUMBERS if name in frame)
        frame.loc[chance.randrange(len(frame)), column] += 1
    if kind == "stripped":
        frame.to_parquet(path)
    else:
        changed = pa.Table.from_pandas(frame, schema=table.schema.remove_metadata(), preserve_index=False)
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


def outcome(act: Callable[[], object]) -> str:
    """What became of a call: "done", "refused", or the traceback of anything else."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            act()
    except BadInput as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"several lines: {error}"
    except Exception:
        return traceback.format_exc()
    return "done"


def fuzz_json(place: Path, name: str, mutations: int, seed: int, draw: float = 0.02) -> collections.Counter[str]:
    """Mutate one JSON file so often; counts of what happened, tracebacks by their text."""
    whole, other = make(place / "whole"), make(place / "other", 1)
    chance, counts = random.Random(seed), collections.Counter[str]()
    for number in range(mutations):
        folder = _copy(whole, place / f"mutated-{number}")
        mutate_json(folder / name, chance)
        drawn = chance.random() < draw
        counts[outcome(partial(look, folder, other, draw=drawn))] += 1
        counts[outcome(partial(resume, folder))] += 1
        shutil.rmtree(folder)
    return counts


def fuzz_tables(place: Path, mutations: int, seed: int) -> collections.Counter[str]:
    """Damage score and output files so often: readers, and the sweep that continues, with the numbers at the end.

    The score files of every second folder are compacted.
    """
    wholes, others = (
        [make(place / f"{name}-{compacted}", seed, compacted=compacted) for compacted in (False, True)]
        for seed, name in enumerate(("whole", "other"))
    )
    chance, counts = random.Random(seed), collections.Counter[str]()
    for number in range(mutations):
        whole, other = wholes[number % 2], others[number % 2]
        folder = _copy(whole, place / f"mutated-{number}")
        said = mutate_table(folder, other, chance)
        counts[outcome(partial(_same_or_less, folder, whole))] += 1
        healed = outcome(partial(_healed, folder, whole, said))
        counts[healed if healed != "refused" else f"the sweep is stuck after {said}"] += 1
        shutil.rmtree(folder)
    return counts


def fuzz_media(place: Path, mutations: int, seed: int) -> collections.Counter[str]:
    """Damage clips, arrays and sounds so often; counts of what happened, tracebacks by their text."""
    whole = make(place / "whole")
    chance, counts = random.Random(seed), collections.Counter[str]()
    for number in range(mutations):
        folder = _copy(whole, place / f"mutated-{number}")
        mutate_media(folder, chance)
        counts[outcome(partial(_heard, folder))] += 1
        shutil.rmtree(folder)
    return counts


def _same_or_less(folder: Path, whole: Path) -> None:
    """What is shown of a damaged folder is true: rows of the whole one, whoever else is refused."""
    readers = (_true_list, _true_scores, _true_attacks, _true_analyses, _true_chains)
    _all(partial(read, folder, whole) for read in readers)


def _true_list(folder: Path, whole: Path) -> None:
    """Of a sweep and of attacks fewer rows may be listed, and of a caution more; analyses and strength are whole."""
    shown, true = (
        {one["kind"]: {**one, "folder": ""} for one in _list(place) if one["kind"] not in ("sweep", "attacks")}
        for place in (folder, whole)
    )
    for kind, one in shown.items():
        assert one["state"] == "unreadable" or one == true[kind], f"ls lists another {kind}"
    assert shown.keys() == true.keys(), "ls leaves out a kind"


def _true_scores(folder: Path, whole: Path) -> None:
    from wrongkey.reports import load_run

    shown, true = load_run(folder).scores, load_run(whole).scores
    assert len(shown.merge(true)) == len(shown), "other numbers are shown"


def _true_attacks(folder: Path, whole: Path) -> None:
    from wrongkey.reports.attacks.rows import load_attacks

    shown, true = load_attacks(folder), load_attacks(whole)
    assert true is not None
    assert shown is None or len(shown.rows.merge(true.rows)) == len(shown.rows), "other trials are shown"


def _true_analyses(folder: Path, whole: Path) -> None:
    for path in sorted((whole / "analyses").glob("*.json")):
        try:
            shown, true = (read_analysis(place / "analyses" / path.name) for place in (folder, whole))
            tables = [one.companion("decryption-example", EXAMPLE_COLUMNS) for one in (shown, true)]
        except BadInput:
            continue
        assert shown.rows.equals(true.rows), f"other rows of {path.stem} are shown"
        assert tables[0] is None or tables[0].equals(tables[1]), "another example is shown"


def _true_chains(folder: Path, whole: Path) -> None:
    shown, true = _chains(folder), _chains(whole)
    for place, chains in shown.items():
        pairs = zip(vars(chains).values(), vars(true[place]).values(), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs), "other chains go on"


def _healed(folder: Path, whole: Path, said: str) -> None:
    """A sweep goes on, does the missing keys again, and has the numbers of the whole folder."""
    from wrongkey.reports import load_run

    run = resume(folder)
    true = {kind: _rows(whole / kind) for kind in ("scores", "outputs") if (whole / kind).is_dir()}
    for start, stop in run.missing(KEYS, SHARD):
        keys = {kind: table[table["key_index"].between(start, stop - 1)] for kind, table in true.items()}
        if "outputs" in keys:
            run.write_outputs(shard_name(start, stop), keys["outputs"].dropna(axis=1))
        run.write_scores(shard_name(start, stop), keys["scores"].to_dict("records"))
    run.write_scores("conditions", pd.read_parquet(whole / "scores" / "conditions.parquet").to_dict("records"))
    order = ["condition", "metric", "key_index"]
    found = load_run(folder).scores.astype(true["scores"].dtypes).sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(found, true["scores"].sort_values(order, ignore_index=True), obj=said)
    assert resume(folder).damaged == [], f"damaged again after {said}"


def _rows(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


def _copy(whole: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(whole, place))


OTHERS = {"tables": fuzz_tables, "media": fuzz_media}


def main() -> int:
    """Damage run folders and count; 1 where there are faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=2000, help="of each kind (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=[*JSON, *OTHERS], choices=[*JSON, *OTHERS], help="default all")
    options = parser.parse_args()
    os.environ.setdefault("MPLBACKEND", "agg")
    tracebacks = 0
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as scratch:
            if kind in OTHERS:
                counts = OTHERS[kind](Path(scratch), options.mutations, options.seed)
            else:
                counts = fuzz_json(Path(scratch), kind, options.mutations, options.seed)
        bad = {text: count for text, count in counts.items() if text not in ("done", "refused")}
        tracebacks += sum(bad.values())
        print(
            f"{kind}: {options.mutations:,} mutations, {counts.total():,} readings: {counts['done']:,} done, "
            f"{counts['refused']:,} refused in a sentence, {sum(bad.values()):,} anything else",
            flush=True,
        )
        for text, count in bad.items():
            print(f"--- {count} times\n{text[-1500:]}")
    return 1 if tracebacks else 0


if __name__ == "__main__":
    raise SystemExit(main())
