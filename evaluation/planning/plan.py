"""The plan of a sweep: what is there already, and what the rest will take. Nothing is written where it would go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.hardware import (
    choose_device,
    choose_workers,
    threads_each,
    threads_of_this_process,
    worthwhile_workers,
)
from wrongkey.evaluation.planning.calibration import Calibration, calibrate
from wrongkey.evaluation.planning.cost import Cost, timed
from wrongkey.evaluation.planning.prediction import Prediction, predict
from wrongkey.evaluation.processes.pool import FORKED
from wrongkey.evaluation.processes.watch import Report
from wrongkey.evaluation.run_folder.folder import RunFolder


@dataclass(frozen=True)
class Plan:
    """What a sweep will take.

    Attributes
    ----------
    folder : Path
        Where it would write.
    there : int
        Keys that the folder holds.
    measured : Calibration
        What the prediction rests on.
    prediction : Prediction or None
        None where no key is missing.
    took : Cost
        The calibration itself.
    """

    folder: Path
    there: int
    measured: Calibration
    prediction: Prediction | None
    took: Cost

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a document."""
        measured = self.measured
        return {
            "folder": str(self.folder),
            "keys_asked": measured.total,
            "keys_there": self.there,
            "utterances": measured.utterances,
            "utterances_measured": measured.measured,
            "speech_seconds": measured.seconds,
            "device": measured.device,
            "key_seconds": measured.key.clock,
            "key_cpu_seconds": measured.key.cpu,
            "calibration_seconds": self.took.clock,
            "prediction": self.prediction and self.prediction.to_json(),
        }


def plan_sweep(config: SweepConfig, out: Path, workers: int | None = None, report: Report | None = None) -> Plan:
    """Predict what `wrongkey.evaluation.sweep.sweep` will take with the same arguments.

    Parameters
    ----------
    config
        What is asked for.
    out
        The run folder, which need not exist; keys that it holds are not asked again.
    workers
        Processes; None takes as many as are worth their start by what was measured, as the sweep does.
    report
        Called with a line of text at each stage.

    Raises
    ------
    BadInput
        As the sweep would.
    """
    device, folder = choose_device(config.device), RunFolder(out)
    most = choose_workers(workers, device)
    measured, took = _measured(config, folder, most, report)
    there = folder.keys_done().below(measured.total)
    missing = measured.total - there
    if workers is None and most > 1 and device.type == "cpu":
        start = measured.again.clock + (0.0 if FORKED else measured.start.clock)
        work, most = missing * measured.key.clock, max(min(most, missing), 1)
        if most > 1:
            most = worthwhile_workers(measured.with_all_threads * work, start + work / most, most).count
        if most == 1:  # a process alone has all threads
            measured, again = _measured(config, folder, most, report)
            took += again
    early = workers is not None or most == 1  # the sweep starts one at once, or as many as are named
    return Plan(folder.path, there, measured, predict(measured, missing, most, early) if missing else None, took)


def _measured(config: SweepConfig, folder: RunFolder, workers: int, report: Report | None) -> tuple[Calibration, Cost]:
    with threads_of_this_process(threads_each(workers)):
        return timed(lambda: calibrate(config, folder, report))
