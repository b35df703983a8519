"""A user's model of any kind of object: what it leaves out, what its attributes mean, and what is refused and why."""

import copy
import pickle
import sys
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import SweepConfig
from wrongkey.evaluation.experiment import Experiment
from wrongkey.evaluation.first_layer import encrypt_first_layer
from wrongkey.evaluation.models.asking import answer_function
from wrongkey.evaluation.models.modules import cast as in_precision
from wrongkey.evaluation.models.modules import widened
from wrongkey.evaluation.models.protocol import SpeakerModel
from wrongkey.evaluation.models.registry import checked
from wrongkey.evaluation.sweep import sweep
from wrongkey.keys import Blocks, SecretKey, encrypt_query

HERE = "tests.evaluation.models.test_completed"
QUERIES = torch.randn(2, 3_000, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Embeddings `(batch, 12)` of waveforms `(batch, samples)`."""

    first_layer = "conv"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(1, 12, 10, stride=10)
        self.head = nn.Linear(24, 12)

    def forward(self, queries: Tensor) -> Tensor:
        h = torch.relu(self.conv(queries[:, None]))
        return self.head(torch.cat([h.mean(-1), h.std(-1)], 1))

    def embed(self, queries: Tensor) -> Tensor:
        return self(queries)


def net() -> Net:
    return Net().eval().requires_grad_(False)


@dataclass(frozen=True)
class Frozen:
    network: nn.Module
    first_layer: str = "conv"

    def embed(self, queries: Tensor) -> Tensor:
        return self.network(queries)


class Slots:
    __slots__ = ("network",)
    first_layer = "conv"

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def embed(self, queries: Tensor) -> Tensor:
        return self.network(queries)


class Pair(namedtuple("Pair", "network first_layer")):
    def embed(self, queries: Tensor) -> Tensor:
        return self.network(queries)


class Properties:
    def __init__(self, inner: nn.Module) -> None:
        self._inner = inner

    network = property(lambda self: self._inner)
    first_layer = property(lambda self: "conv")
    sample_rate = property(lambda self: 8_000)

    def embed(self, queries: Tensor) -> Tensor:
        return self._inner(queries)


OBJECTS: dict[str, Callable[[], Any]] = {
    "frozen": lambda: Frozen(net()),
    "slots": lambda: Slots(net()),
    "namedtuple": lambda: Pair(net(), "conv"),
    "properties": lambda: Properties(net()),
    "module": net,
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_any_kind_of_object_is_a_model(kind):
    made = OBJECTS[kind]()
    model = cast(SpeakerModel, checked(made, "mine:make"))
    assert (model.name, model.blocks, model.block_size) == ("mine:make", None, None)
    assert model.sample_rate == (8_000 if kind == "properties" else 16_000)
    assert torch.equal(model.front_end(QUERIES[0]), QUERIES[0]) and model.segments(QUERIES[0]).shape == (1, 3_000)
    assert not hasattr(made, "front_end") and not hasattr(model, "classes")
    plain = made.embed(QUERIES)
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other.embed(QUERIES), plain, rtol=0, atol=0)
    key = SecretKey.from_seed("rom", 10, seed=1)
    encrypted = cast(SpeakerModel, encrypt_first_layer(model, key, Blocks.SAMPLES))
    torch.testing.assert_close(encrypted.embed(encrypt_query(QUERIES, key)), plain, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(encrypted.embed(QUERIES), plain, rtol=1e-2)
    torch.testing.assert_close(made.embed(QUERIES), plain, rtol=0, atol=0)


def test_a_whole_object_is_given_back_as_it_is():
    made = SimpleNamespace(
        network=net(), first_layer="conv", name="n", sample_rate=8_000, blocks=None, block_size=10,
        front_end=torch.abs, segments=torch.atleast_2d, embed=None, classify=torch.sum,
        external=False,
    )  # fmt: skip
    assert checked(made, "spec") is made


def changed(**attributes) -> Net:
    made = net()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("attributes", "part", "value"),
    [
        ({"blocks": nn.ModuleList([nn.Linear(2, 2)])}, "blocks", None),
        ({"blocks": [3, 4, 6, 3]}, "blocks", None),
        ({"blocks": 4}, "blocks", None),
        ({"blocks": "samples"}, "blocks", "samples"),
        ({"block_size": nn.Parameter(torch.zeros(3))}, "block_size", None),
        ({"block_size": torch.tensor(10)}, "block_size", 10),
        ({"sample_rate": 8000.0}, "sample_rate", 8_000),
        ({"name": lambda: "a method"}, "name", "spec"),
        ({}, "external", False),
        ({"external": nn.Linear(2, 2)}, "external", False),
        ({"external": True}, "external", True),
        ({"network": "resnet34"}, "first_layer", "conv"),
        ({"network": nn.Sequential(nn.Linear(2, 2))}, "first_layer", "conv"),  # of the network, the layer is not in it
    ],
)
def test_an_attribute_of_another_kind_is_the_models_own(attributes, part, value):
    made = changed(**attributes)
    model = checked(made, "spec")
    assert getattr(model, part) == value and type(getattr(model, part)) is type(value)
    if "network" in attributes:
        assert model.network is made


def test_the_first_layer_may_be_the_layer_itself():
    class Named(Net):
        first_layer = property(lambda self: self.conv)

    assert checked(Named().eval(), "spec").first_layer == "conv"


def test_layer_lists_and_tensors_are_no_functions():
    made = changed(segments=nn.ModuleList([nn.Linear(2, 2)]), front_end=torch.zeros(3))
    model = checked(made, "spec")
    assert model.segments(QUERIES[0]).shape == (1, 3_000) and torch.equal(model.front_end(QUERIES[0]), QUERIES[0])


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"blocks": "tile"}, "blocks of model 'spec' is 'tile': give samples, tiles, frames"),
        ({"block_size": 0}, "block_size of model 'spec' is 0"),
        ({"block_size": "10"}, "block_size of model 'spec' is '10'"),
        ({"sample_rate": "16k"}, "sample_rate of model 'spec' is '16k': give hertz"),
        ({"sample_rate": nn.Linear(1, 1)}, "sample_rate of model 'spec' is of type Linear"),
        ({"segments": 10}, "segments of model 'spec' is 10, and segments names a function here: rename"),
        ({"front_end": lambda waveform, rate: waveform}, "missing a required argument: 'rate'"),
        ({"first_layer": 3}, "first_layer of model 'spec' is 3: give the name"),
        ({"first_layer": ""}, "lacks first_layer"),
    ],
)
def test_what_may_be_a_mistake_is_refused(attributes, said):
    with pytest.raises(BadInput, match=said) as error:
        checked(changed(**attributes), "spec")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("classes", [None, 10, "ab", {"a", "b"}, {"a": 1, "b": 0}, [0, 1], nn.Linear(1, 1), ()])
def test_classes_must_be_names_in_an_order(classes):
    made = changed(classify=torch.sum, classes=classes)
    with pytest.raises(BadInput, match="does not name its classes"):
        answer_function(checked(made, "spec"), "asc")
    made.__dict__["classes"] = ("a", "b")
    assert answer_function(checked(made, "spec"), "asc") is torch.sum


def training() -> dict[str, nn.Module]:
    return {
        "BatchNorm1d": nn.BatchNorm1d(12),
        "Dropout": nn.Dropout(0.1),
        "LSTM": nn.LSTM(12, 4),
        "InstanceNorm1d": nn.InstanceNorm1d(12, track_running_stats=True),
    }


@pytest.mark.parametrize("layer", training())
@pytest.mark.parametrize("beside", [False, True])
def test_training_mode_is_refused_before_anything_is_asked(layer, beside):
    made, late = net(), training()[layer]
    (holder := Frozen(made) if beside else made).__dict__.setdefault("_modules", {})
    if beside:
        object.__setattr__(holder, "late", late)
    else:
        made.late = late
    with pytest.raises(BadInput, match=rf"'spec' is not in eval mode, see .*\({layer}\): call \.eval\(\)"):
        checked(holder, "spec")
    assert all(int(count) == 0 for name, count in late.state_dict().items() if name.endswith("tracked"))


def config(factory: str, **settings) -> SweepConfig:
    shared: dict[str, Any] = {"corpus": "bundled", "per_speaker": 2, "replicates": 0, "device": "cpu", "keys": 2}
    return SweepConfig(model=f"{HERE}:{factory}", **shared | settings)


class Headed(nn.Module):
    """Keeps a part of itself outside `network`."""

    first_layer = "conv"

    def __init__(self) -> None:
        super().__init__()
        self.network = Net()
        self.last = nn.Linear(12, 8)
        self.network.register_buffer("turn", torch.full((1,), 0.5 + 0.5j, dtype=torch.complex64))

    def embed(self, queries: Tensor) -> Tensor:
        return self.last(self.network(queries)) * self.network.turn.imag.to(queries.dtype)


def half() -> Net:
    return net().half()


def brain_float() -> Net:
    return net().bfloat16()


def double() -> Net:
    return net().double()


def half_with_a_head() -> Headed:
    torch.manual_seed(0)
    return of_type(Headed, in_precision(Headed().eval().requires_grad_(False), torch.float16))


@pytest.mark.parametrize("factory", ["half", "brain_float", "double", "half_with_a_head"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_precision_says_in_what_a_network_runs(factory, precision, tmp_path):
    experiment = Experiment(config(factory, precision=precision))
    assert {weight.dtype for weight in experiment.engine.model.network.parameters()} == {
        {"float32": torch.float32, "float64": torch.float64}[precision]
    }
    folder = sweep(config(factory, precision=precision), tmp_path / "run", workers=1, prepared=experiment)
    assert set(folder.keys_done()) == {0, 1}


def test_widening_loses_nothing_and_leaves_the_users_model_alone():
    made = half_with_a_head()
    model: Any = widened(checked(made, "spec"), double=False)
    assert made.last.weight.dtype == torch.float16 and made.network.turn.dtype == torch.complex64
    assert model.last.weight.dtype == torch.float32 and model.network.turn == 0.5 + 0.5j
    assert torch.equal(model.last.weight.half(), made.last.weight)
    whole = checked(net(), "spec")
    assert widened(whole, double=True) is whole and widened(whole, double=False) is whole
    assert widened(checked(double(), "spec"), double=True).network.get_parameter("conv.weight").dtype == torch.float64


class OwnType(Net):
    """Makes a tensor in a type of its own."""

    def embed(self, queries: Tensor) -> Tensor:
        return self.head(super().embed(queries).repeat(1, 2).float())


def own_type() -> OwnType:
    return OwnType().eval()


def closure() -> SimpleNamespace:
    """Its copy would still ask this network and not its own."""
    network = net()
    return SimpleNamespace(network=network, first_layer="conv", embed=lambda queries: network(queries))


class OtherNetwork(Net):
    """The named layer is one that nothing calls."""

    first_layer = "unused"

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Conv1d(1, 4, 10, stride=10)


def other_network() -> OtherNetwork:
    return OtherNetwork().eval()


class Twice(Net):
    """`embed` is given what the front end made of the speech, and applies it again."""

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform - 0.5

    def embed(self, queries: Tensor) -> Tensor:
        return super().embed(self.front_end(queries))


def twice() -> Twice:
    return Twice().eval()


def python_module():
    made = sys.modules[HERE]
    vars(made).update(network=net(), first_layer="conv", embed=lambda queries: made.network(queries))
    return made


class Silent(Net):
    """Log magnitudes without a floor."""

    def front_end(self, waveform: Tensor) -> Tensor:
        return torch.cat([waveform.log(), waveform])


def silent() -> Silent:
    return Silent().eval()


class ThreeAxes(Net):
    def segments(self, query: Tensor) -> Tensor:
        return query


def three_axes() -> ThreeAxes:
    return ThreeAxes().eval()


class Fewer(Net):
    classes = ("ann", "bob")

    def classify(self, queries: Tensor) -> Tensor:
        return self(queries)


def fewer() -> Fewer:
    return Fewer().eval()


@pytest.mark.parametrize(
    ("factory", "settings", "said"),
    [
        ("own_type", {"precision": "float16"}, "type float16 .*: does it make a tensor of its own in another type"),
        ("closure", {}, r"embed of model .*:closure does not go through conv of its network.* must call self\.network"),
        ("other_network", {}, "does not go through unused of its network"),
        ("twice", {}, "embed of model .* calls front_end itself"),
        ("python_module", {}, "cannot be copied"),
        ("silent", {}, "values that are not finite for utterance"),
        ("three_axes", {}, r"must give \(segments, samples\) or .*, and gave \(\d+,\)"),
    ],
)
def test_a_model_that_would_mislead_is_refused_with_the_reason(factory, settings, said):
    with pytest.raises(BadInput, match=said) as error:
        Experiment(config(factory, **settings))
    assert "\n" not in str(error.value) and "receptive field" not in str(error.value)


def test_the_number_of_logits_is_that_of_the_classes(tmp_path):
    import soundfile

    for name in Fewer.classes:
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "a.wav", QUERIES[0].numpy() * 0.1, 16_000)
    with pytest.raises(BadInput, match=r"names 2 classes, and classify gave \(2, 12\)"):
        Experiment(config("fewer", task="asc", corpus=f"classes:{tmp_path}", per_speaker=None))


def test_the_users_model_is_not_changed_by_the_first_question():
    class Watching(Net):
        asked = 0

        def embed(self, queries: Tensor) -> Tensor:
            self.asked += 1
            return super().embed(queries)

    made = Watching().eval()
    globals()["watching"] = lambda: made
    Experiment(config("watching"))
    assert made.asked == 0 and "front_end" not in vars(made)
