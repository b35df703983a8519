"""GE2E with weights made here: the correct key on mel frames changes nothing, another key does."""

import pytest
import torch

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.ge2e import Ge2e
from wrongkey.evaluation.models.adapters.ge2e_network import Ge2eTeacher
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import SCHEMES, Blocks, SecretKey, encrypt_query

SPEECH = torch.randn(40_000, generator=torch.Generator().manual_seed(0)) * 0.1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("ge2e") / "pretrained.pt"
    torch.save({"model_state": Ge2eTeacher().state_dict() | {"similarity_weight": torch.ones(1)}}, path)
    return path


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("block", [40, 8, 7])
def test_frames_are_encrypted_without_training_again(weights, scheme, block):
    model = of_type(Ge2e, open_model(f"ge2e:{weights}"))
    key = SecretKey.from_seed(scheme, block, seed=1)
    assert exactness(model, key, Blocks.FRAMES, SPEECH).relative < 1e-5
    queries = model.segments(model.front_end(SPEECH))
    wrong = encrypt_query(queries, key, blocks="frames")[:, :40]
    assert not torch.allclose(model.embed(wrong), model.embed(queries), rtol=1e-2)


def test_it_embeds_as_the_teacher_does(weights):
    model = of_type(Ge2e, open_model(f"ge2e:{weights}"))
    mean = model.embed(model.segments(model.front_end(SPEECH))).mean(0, keepdim=True)
    expected = model.network.embed_utterances([SPEECH])
    torch.testing.assert_close(torch.nn.functional.normalize(mean), expected)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "other.pt").write_bytes(b"no weights")
    with pytest.raises(BadInput, match=r"other\.pt"):
        open_model(f"ge2e:{tmp_path / 'other.pt'}")
    with pytest.raises(BadInput, match="no such file"):
        open_model("ge2e:/nowhere/pretrained.pt")
