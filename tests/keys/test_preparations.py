"""Preparations as options of a scheme's name: what is understood and what is refused."""

import subprocess
import sys

import pytest

from wrongkey.errors import BadInput
from wrongkey.keys.preparations import Step, steps_of


def test_preparations_keep_their_order_and_other_options_are_passed_over():
    options = [("turns", "4"), ("noise", "-3.5"), ("phase", ""), ("nonce", ""), ("lpc", "16"), ("flat", "1")]
    assert steps_of(options) == (Step("noise", -3.5), Step("phase"), Step("lpc", 16), Step("flat", 1))
    assert steps_of([("turns", "4")]) == ()


@pytest.mark.parametrize("value", ["", "loud", "nan", "inf", "-inf", "20 dB", "1e999", "-101"])
def test_noise_is_a_finite_ratio(value):
    with pytest.raises(BadInput, match=r"^The option noise=.* needs a number from -100 to 200\.$"):
        steps_of([("noise", value)])


@pytest.mark.parametrize("name", ["flat", "lpc"])
@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "many", "nan", "²"])
def test_bins_and_coefficients_are_whole_numbers_from_1_on(name, value):
    with pytest.raises(BadInput, match=rf"^The option {name}=.* needs a whole number from 1 "):
        steps_of([(name, value)])


def test_words():
    steps = [Step("noise", 20.0), Step("flat", 15), Step("phase"), Step("lpc", 16)]
    assert list(map(str, steps)) == [
        "noise at 20 dB",
        "a spectral envelope flattened over 15 bins",
        "phase only",
        "linear prediction of order 16 taken out",
    ]


def test_names_are_checked_without_torch():
    code = "import sys, wrongkey.keys.preparations; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
