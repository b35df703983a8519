"""What decides a result is among an attack's settings, which are recorded; what the suite runs is not."""

import inspect
import re
from pathlib import Path

import pytest

from wrongkey.attacks.harness.attack_settings import settings_of
from wrongkey.attacks.harness.offered import attack_names
from wrongkey.attacks.harness.registry import open_attack

ATTACKS = Path(__file__).parents[2] / "attacks"
FOLDERS = ("waveforms", "spectrograms", "weights", "through_model", "keyless", "plaintext", "solvers")
SOURCES = [path for folder in FOLDERS for path in sorted((ATTACKS / folder).glob("*.py"))]
# Numbers outside of the settings, and why.
CASES = {"SECONDS", "SECONDS_BLIND", "QUERIES", "BLOCKS_PER_ELEMENT"}
ROUNDING = {"ROUNDING", "ROUNDINGS", "ENTROPY_ROUNDING", "TURN_ROUNDING", "LEAST", "LEAST_GAIN", "SAME"}
TIME_AND_MEMORY = {"MOST", "NUMBERS", "MOST_BYTES", "MOST_BYTES_ELSEWHERE", "ROWS"}
NAMES = {"HELD_STREAM", "BESIDE", "CROSS", "SWAP"}  # of a random stream, of neighbours, of moves


@pytest.mark.parametrize("name", attack_names())
def test_cases_are_no_settings(name: str) -> None:
    assert "settings" not in inspect.getsource(type(open_attack(name)).cases)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_numbers_of_a_module_are_cases_or_decide_nothing(path: Path) -> None:
    numbers = re.findall(
        r"^([A-Z][A-Z_]*)\b.* = \(*[-\d.]|^([A-Z][A-Z_]*)\b.* = range", path.read_text("utf-8"), flags=re.M
    )
    assert {one or other for one, other in numbers} <= CASES | ROUNDING | TIME_AND_MEMORY | NAMES


@pytest.mark.parametrize("name", attack_names())
def test_every_setting_is_read(name: str) -> None:
    read = {word for path in SOURCES for word in re.findall(r"\.(\w+)", path.read_text("utf-8"))}
    assert settings_of(open_attack(name)).keys() <= read


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("known-plaintext", "certain"),
        ("chosen-plaintext", "certain"),
        ("public-model", "certain"),
        ("polyphase", "least_gain"),
        ("sign-chain", "clustering_rounds"),
        ("sample-order", "moves"),
        ("sample-order", "public_far_step"),
        ("linear-prediction", "average"),
        ("linear-prediction", "descent_memory"),
        ("spectrogram-moments", "annealing_sampled"),
        ("spectrogram-moments", "descent_memory"),
        ("learned-key", "decays"),
    ],
)
def test_the_constants_of_solvers_are_recorded_with_the_attack(name: str, setting: str) -> None:
    assert setting in settings_of(open_attack(name))
