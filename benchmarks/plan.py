"""What ``wrongkey sweep --plan`` predicts, against what the sweep then takes.

``python -m benchmarks.plan [--model asv-raw10] [--task asv] [--corpus bundled] [--keys 20 100 300] [--workers 1]``

For each number of keys the plan and right after it the sweep, each in a process of its own as a user calls them. Prints
predicted and measured seconds by the clock and of CPU, peak memory and disk, and their ratios.

Other work on the machine changes times by the clock, those of the plan and of the sweep differently, and times of CPU
hardly. Memory is the sum over the sweep's processes of the largest resident size of each (Linux only).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.tables import Table, add_json, show

WATCHED = 0.2  # seconds between two looks at the processes

Peaks = dict[int, int]  # process -> bytes


class Used(NamedTuple):
    """What a sweep takes: seconds by the clock and of CPU, bytes of memory and of disk."""

    clock: float
    cpu: float
    memory: float
    disk: float


def main() -> None:
    """Print the table."""
    options = _options()
    rows = [(keys, *_one_size(options, keys)) for keys in options.keys]
    cells = []
    for keys, predicted, measured in rows:
        for name, unit, digits, scale in (
            ("clock", "s by the clock", 1, 1), ("cpu", "s of CPU", 1, 1), ("memory", "MB of memory", 0, 1e6),
            ("disk", "kB on disk", 0, 1e3),
        ):  # fmt: skip
            said, found = getattr(predicted, name) / scale, getattr(measured, name) / scale
            numbers = f"{said:,.{digits}f}", f"{found:,.{digits}f}", f"{said / found:.2f}"
            cells.append([options.model, f"{keys:,}", unit, *numbers])
    each = f", {options.per_speaker} utterance(s) of each speaker" if options.per_speaker else ""
    note = f"{options.model} on {options.corpus}{each}, {options.workers} process(es)."
    show(options.json, Table(("model", ">keys", "", ">predicted", ">measured", ">predicted / measured"), cells, note))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="asv-raw10")
    parser.add_argument("--task", default="asv")
    parser.add_argument("--corpus", default="bundled")
    parser.add_argument("--per-speaker", type=int, help="utterances of each speaker (all)")
    parser.add_argument("--keys", type=int, nargs="+", default=[20, 100, 300])
    parser.add_argument("--workers", type=int, default=1)
    add_json(parser)
    return parser.parse_args()


def _one_size(options: argparse.Namespace, keys: int) -> tuple[Used, Used]:
    """Predicted, and then measured."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        command = [
            *(sys.executable, "-m", "wrongkey", "sweep", "--quiet", "--json"),
            *("--model", options.model, "--task", options.task, "--corpus", options.corpus, "--keys", str(keys)),
            *("--workers", str(options.workers), "--out", str(run)),
        ]
        command += ["--per-speaker", str(options.per_speaker)] if options.per_speaker else []
        plan = json.loads(subprocess.run([*command, "--plan"], check=True, capture_output=True).stdout)["prediction"]
        predicted = Used(plan["seconds"], plan["cpu_seconds"], plan["memory_bytes"]["total"], plan["disk_bytes"])
        measured = _measured(command, run)
    _show(keys, predicted, measured)
    return predicted, measured


def _measured(command: Sequence[str], run: Path) -> Used:
    before, begin, peaks = _cpu(), time.perf_counter(), Peaks()
    sweep = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while sweep.poll() is None:
        _look(sweep.pid, peaks)
        time.sleep(WATCHED)
    clock = time.perf_counter() - begin
    if sweep.returncode:
        raise SystemExit(f"The sweep ended with {sweep.returncode}.")
    disk = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    return Used(clock, _cpu() - before, sum(peaks.values()), disk)


def _cpu() -> float:
    """Seconds of CPU of all processes that this one, or one of them, has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _look(process: int, peaks: Peaks) -> None:
    """Note the largest resident size so far of a process and of those that it started."""
    status = _status(process)
    if "VmHWM" in status:
        peaks[process] = int(status["VmHWM"].split()[0]) * 1024
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = thread.read_text().split()
        except OSError:  # it has ended
            continue
        for child in children:
            _look(int(child), peaks)


def _status(process: int) -> Mapping[str, str]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:  # it has ended
        return {}
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _show(keys: int, predicted: Used, measured: Used) -> None:
    pairs = zip(Used._fields, predicted, measured, strict=True)
    ratios = ", ".join(f"{name} {said / found:.2f}" for name, said, found in pairs)
    print(f"{keys:,} keys, predicted / measured: {ratios}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
