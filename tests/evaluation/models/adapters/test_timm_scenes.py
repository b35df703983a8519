"""Checkpoints of timm under a key, made here with random weights, and the TOML file that describes them."""

import json

import pytest
import torch
from safetensors.torch import save_file

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.timm_scenes import TimmScenes
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.front_ends import LogMel, standardised
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import SCHEMES, Blocks, SecretKey, encrypt_query

declare_missing_operators()
timm = pytest.importorskip("timm")

SOUND = torch.randn(20_000, generator=torch.Generator().manual_seed(0)) * 0.1
CLASSES = ["rain", "sea", "dog"]
CONVMIXER = {"dim": 16, "depth": 2, "kernel_size": 3, "patch_size": 8}
VIT = {"img_size": [64, 80], "embed_dim": 24, "depth": 2, "num_heads": 2}
FRONT_END = {"sample_rate": 16_000, "n_fft": 512, "hop": 160, "bins": 64, "clip_seconds": 0.89}  # 90 frames


def convmixer(seed=0):
    torch.manual_seed(seed)
    return timm.models.convmixer.ConvMixer(**CONVMIXER, act_layer=torch.nn.ReLU, in_chans=1, num_classes=3).eval()


def vit():
    torch.manual_seed(0)
    return timm.create_model("vit_tiny_patch16_224", in_chans=1, num_classes=3, **VIT).eval()


def toml(value):
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and lists are written alike


def written(folder, architecture, network, arguments, front_end=None, **top):
    """A TOML file with its weights; `top` replaces settings, None leaves one out."""
    if network is not None:
        save_file(
            {name: tensor.contiguous() for name, tensor in network.state_dict().items()}, folder / "w.safetensors"
        )
    settings = {"architecture": architecture, "weights": "w.safetensors", "classes": CLASSES} | top
    lines = [f"{name} = {toml(value)}" for name, value in settings.items() if value is not None]
    for name, table in (("arguments", arguments), ("front_end", FRONT_END | (front_end or {}))):
        lines += [f"[{name}]", *(f"{key} = {toml(value)}" for key, value in table.items() if value is not None)]
    path = folder / "model.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def mixer(tmp_path_factory):
    return open_model(f"timm:{written(tmp_path_factory.mktemp('m'), 'convmixer_768_32', convmixer(), CONVMIXER)}")


@pytest.fixture(scope="module")
def transformer(tmp_path_factory):
    return open_model(f"timm:{written(tmp_path_factory.mktemp('v'), 'vit_tiny_patch16_224', vit(), VIT)}")


# tiles of 16 and 32 fill neither clip: an encrypted network gets more frames than the plain one
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("name", "block"), [("mixer", 8), ("mixer", 16), ("transformer", 16), ("transformer", 32)])
def test_the_correct_key_gives_the_plain_answers(name, block, scheme, request):
    model = request.getfixturevalue(name)
    key = SecretKey.from_seed(scheme, block, 2, seed=1)
    assert exactness(model, key, Blocks.TILES, SOUND).relative < 1e-5
    queries = model.segments(model.front_end(SOUND))
    wrong = encrypt_query(queries, key, blocks="tiles")[..., : queries.shape[-1]]
    assert not torch.allclose(model.classify(wrong), model.classify(queries), rtol=1e-2)


def test_it_answers_as_timm_does_to_the_described_spectrogram(mixer, transformer):
    spectrogram = standardised(LogMel(16_000, 512, 160, 64)(SOUND)[None, :, :90])
    for model, network, frames in ((mixer, convmixer(), 88), (transformer, vit(), 80)):
        queries = model.segments(model.front_end(SOUND))
        assert queries.shape == (1, 64, frames)
        torch.testing.assert_close(model.classify(queries), network(spectrogram[:, None, :, :frames]))
    assert (mixer.first_layer, transformer.first_layer) == ("stem.0", "patch_embed.proj")
    assert mixer.classes == transformer.classes == tuple(CLASSES)
    assert mixer.sample_rate == 16_000


def test_what_no_patch_reads_is_cut_off_and_changes_nothing(tmp_path):
    path = written(tmp_path, "convmixer_768_32", convmixer(), CONVMIXER, {"bins": 70, "mean": -3.0, "std": 2})
    model = of_type(TimmScenes, open_model(f"timm:{path}"))
    whole = (LogMel(16_000, 512, 160, 70)(SOUND)[None, :, :90] + 3) / 2
    queries = model.segments(model.front_end(SOUND))
    assert queries.shape == (1, 64, 88)
    torch.testing.assert_close(model.classify(queries), convmixer()(whole[:, None]))


def test_long_recordings_are_cut_and_short_ones_repeated(mixer):
    assert mixer.segments(mixer.front_end(SOUND.repeat(2))).shape == (3, 64, 88)
    assert mixer.segments(mixer.front_end(SOUND[:3000])).shape == (1, 64, 88)
    with pytest.raises(BadInput, match="without samples"):
        mixer.front_end(SOUND[:0])


def test_linear_frequencies_and_torch_files(tmp_path):
    torch.save({"state_dict": convmixer().state_dict()}, tmp_path / "w.pt")
    front_end = {"scale": "linear", "bins": 256}
    path = written(tmp_path, "convmixer_768_32", None, CONVMIXER, front_end, weights="w.pt")
    model = open_model(f"timm:{path}")
    assert model.front_end(SOUND).shape == (256, 88)
    for mine, theirs in zip(model.network.parameters(), convmixer().parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(
    ("top", "arguments", "front_end", "sentence"),
    [
        ({"architecture": "convmixer_768_23"}, {}, {}, "timm does not have: near are convmixer_768_32"),
        ({"weights": "other.safetensors"}, {}, {}, r"there is no .*other\.safetensors"),
        ({"weights": None}, {}, {}, "does not set weights"),
        ({"layers": 3}, {}, {}, "sets layers, which is unknown"),
        ({"classes": ["rain", "rain", "dog"]}, {}, {}, "two different names"),
        ({"classes": ["rain", "dog"]}, {}, {}, "names 2 classes, but the head of .* has 3"),
        ({}, {"patch_size": 16}, {}, r"stem\.0\.weight of shape \(16, 1, 8, 8\), .* \(16, 1, 16, 16\)"),
        ({}, {"depth": 3}, {}, r"has no blocks\.2\."),
        ({}, {"depth": 1}, {}, r"has blocks\.1\..*has not"),
        ({}, {"in_chans": 3}, {}, "a spectrogram has one channel"),
        ({}, {"num_classes": 3}, {}, r"arguments\.num_classes: leave it out"),
        ({}, {"heads": 3}, {}, "cannot be made with these arguments"),
        ({}, {}, {"bins": None}, r"does not set front_end\.bins"),
        ({}, {}, {"bins": 64.5}, r"front_end\.bins = 64\.5, which is not a whole number"),
        ({}, {}, {"bins": 4}, "smaller than a patch of 8 by 8"),
        ({}, {}, {"hop": 0}, "hop = 0"),
        ({}, {}, {"scale": "bark"}, "choose one of mel, linear"),
        ({}, {}, {"mean": 1.0}, "give both"),
        ({}, {}, {"mean": 1.0, "std": 0.0}, "above zero"),
        ({}, {}, {"floor": 0.0}, "front_end: .*floor"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, top, arguments, front_end, sentence):
    path = written(tmp_path, "convmixer_768_32", convmixer(), CONVMIXER, front_end)
    if top or arguments:
        settings = {"architecture": "convmixer_768_32"} | top
        path = written(tmp_path, settings.pop("architecture"), None, CONVMIXER | arguments, front_end, **settings)
    with pytest.raises(BadInput, match=sentence):
        open_model(f"timm:{path}")


def test_a_vit_of_another_size_is_told_its_size(tmp_path):
    path = written(tmp_path, "vit_tiny_patch16_224", vit(), VIT, {"clip_seconds": 2.0})
    with pytest.raises(BadInput, match=r"set arguments\.img_size = \[64, 192\]"):
        open_model(f"timm:{path}")


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        open_model("timm:/nowhere/model.toml")
    (tmp_path / "model.toml").write_text("architecture = ")
    with pytest.raises(BadInput, match="is not TOML"):
        open_model(f"timm:{tmp_path / 'model.toml'}")
    for name in ("w.safetensors", "w.pt"):
        (tmp_path / name).write_bytes(b"no weights")
        path = written(tmp_path, "convmixer_768_32", None, CONVMIXER, weights=name)
        with pytest.raises(BadInput, match=name):
            open_model(f"timm:{path}")
    torch.save(convmixer(), tmp_path / "w.pt")  # a pickled module is never unpickled
    with pytest.raises(BadInput, match=r"w\.pt holds objects of .*ConvMixer.*save the network's state_dict"):
        open_model(f"timm:{written(tmp_path, 'convmixer_768_32', None, CONVMIXER, weights='w.pt')}")
