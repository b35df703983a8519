"""Keys that the analyses would measure wrongly are refused before anything is opened."""

import pytest

from wrongkey.attacks.analyses.measurable import check_measurable
from wrongkey.attacks.analyses.near_keys import Decryption
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.keys import get_scheme


@pytest.mark.parametrize(
    ("scheme", "says"), [("invertible", "where they are orthogonal"), ("rom+nonce", "use the scheme rom")]
)
def test_other_keys_are_refused(scheme, says):
    with pytest.raises(BadInput, match=says):
        check_measurable(get_scheme(scheme))
    with pytest.raises(BadInput, match=says):
        Decryption(SweepConfig("no-such-model", "bundled", scheme=scheme)).run()


@pytest.mark.parametrize("scheme", ["rom", "signed-shuffling", "flipping+noise=20"])
def test_orthogonal_keys_of_one_block_are_measured(scheme):
    check_measurable(get_scheme(scheme), of_one_block=True)


def test_several_blocks_are_measured_as_one_key_and_not_where_blocks_are_looked_at():
    check_measurable(get_scheme("rom+turns=2"))
    with pytest.raises(BadInput, match="multiplies 2 together"):
        check_measurable(get_scheme("rom+turns=2"), of_one_block=True)
