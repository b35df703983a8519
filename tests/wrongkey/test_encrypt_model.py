"""wrongkey encrypt-model for every kind of model and of blocks, and its file loaded again as --help says."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.narrow import of_type
from wrongkey.cli import main
from wrongkey.keys import SecretKey, encrypt_query, lift_model

MODULE = "tests.wrongkey.test_encrypt_model"


class Kind:
    """A tiny model; its query is the waveform or, for spectrograms, 10 samples of each 12 as bins of a frame."""

    sample_rate = 1_000

    def __init__(self, layer: nn.Module, spectrogram: bool = False) -> None:
        self.name = "tiny"
        self.first_layer, self.spectrogram = "first", spectrogram
        self.network = nn.ModuleDict({"first": layer}).eval().requires_grad_(False)

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform.unfold(0, 10, 12).T if self.spectrogram else waveform

    def segments(self, query: Tensor) -> Tensor:
        return query[None]


class Embeds(Kind):
    def embed(self, queries: Tensor) -> Tensor:
        return self.network["first"](queries[:, None]).relu().mean(-1)


class Encodes(Kind):
    def encode(self, queries: Tensor) -> Tensor:
        return self.network["first"](queries).transpose(1, 2).relu()

    def transcribe(self, queries: Tensor) -> list[str]:
        return ["?"] * len(queries)


class Hears(Kind):
    """Answers with texts alone."""

    def transcribe(self, queries: Tensor) -> list[str]:
        return [str(frames.argmax(-1).tolist()) for frames in self.network["first"](queries.transpose(1, 2))[0]]


class Classifies(Kind):
    classes = ("a", "b")

    def classify(self, queries: Tensor) -> Tensor:
        return self.network["first"](queries[:, None]).relu().mean((-2, -1))


class Deaf(Embeds):
    """Reads the query before its first layer does."""

    def embed(self, queries: Tensor) -> Tensor:
        return super().embed(queries.abs())


def seeded(kind: type[Kind], layer: type[nn.Module], *shape: object, spectrogram: bool = False) -> Kind:
    torch.manual_seed(0)
    return kind(layer(*shape), spectrogram)


def embeds() -> Kind:
    return seeded(Embeds, nn.Conv1d, 1, 8, 10, 5)


def encodes() -> Kind:
    return seeded(Encodes, nn.Conv1d, 10, 8, 3, 1, 1, spectrogram=True)


def hears() -> Kind:
    return seeded(Hears, nn.GRU, 10, 8, 1, True, True, spectrogram=True)


def classifies() -> Kind:
    return seeded(Classifies, nn.Conv2d, 1, 2, 3, 2, spectrogram=True)


def deaf() -> Kind:
    return seeded(Deaf, nn.Conv1d, 1, 8, 10, 5)


CASES = {
    "samples": ("embeds", embeds, [], 10, 1, "samples", 2.0, "5 x 5 (N = 10)"),
    "samples of one stride": ("embeds", embeds, [], 5, 1, "samples", 1.0, None),
    "tiles of a Conv1d": ("encodes", encodes, ["--blocks", "tiles"], 4, 2, "tiles", 4 * 12 / 10, "4 x 4 (N = 16)"),
    "frames of a Conv1d": ("encodes", encodes, ["--blocks", "frames"], 10, 1, "frames", 1.0, None),
    "frames of a GRU": ("hears", hears, [], 10, 1, "frames", 1.0, None),
    "tiles of a Conv2d": ("classifies", classifies, [], 10, 2, "tiles", None, "4 x 4 (N = 100)"),
}


@pytest.mark.parametrize("case", CASES)
def test_an_encrypted_model_is_written_with_its_cost_and_loaded_again(case: str, tmp_path: Path, capsys) -> None:
    name, make, flags, block_size, dims, blocks, ratio, shown = CASES[case]
    key, out = SecretKey.draw("rom", block_size, dims), tmp_path / "m.safetensors"
    key.save(tmp_path / "k.npz")
    flags = ["--model", f"{MODULE}:{name}", "--key", str(tmp_path / "k.npz"), "-o", str(out), *flags]
    assert main(["encrypt-model", *flags]) == 0
    said = capsys.readouterr().out
    assert f"M = {block_size}, {blocks}" in said and "plain model's by" in said and "encrypted" in said
    assert ratio is None or f"({ratio:.2f} times)" in said
    assert f"orthogonal matrix of {shown}" in said if shown else "caution" not in said

    with safe_open(out, "pt") as file:
        about = file.metadata()
    assert (about["first_layer"], about["blocks"], about["block_size"]) == ("first", blocks, str(block_size))
    plain = make()
    network = lift_model(plain.network, about["first_layer"], int(about["block_size"]), about["blocks"])
    network.load_state_dict(load_file(out))
    provider = make()
    provider.network = of_type(nn.ModuleDict, network)
    query = torch.randn(2, *((block_size * 3,) if blocks == "samples" else (10, block_size * 3)))
    asked = encrypt_query(query, key, blocks=blocks)
    if name == "hears":
        assert of_type(Hears, provider).transcribe(asked) == of_type(Hears, plain).transcribe(query)
        return
    function = next(f for f in ("encode", "embed", "classify") if hasattr(plain, f))
    torch.testing.assert_close(getattr(provider, function)(asked), getattr(plain, function)(query), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("name", "block_size", "dims", "reason"),
    [
        ("deaf", 5, 1, "first does not read the query first"),
        ("embeds", 6, 1, "give 5, or a multiple of it"),
        ("embeds", 5, 2, "1-D blocks and the key is for 2-D blocks"),
        ("encodes", 4, 2, "--blocks"),
        ("hears", 4, 2, "1-D blocks and the key is for 2-D"),
    ],
)
def test_what_cannot_be_encrypted_is_refused(name, block_size, dims, reason, tmp_path: Path, capsys) -> None:
    SecretKey.draw("rom", block_size, dims).save(tmp_path / "k.npz")
    out = tmp_path / "m.safetensors"
    flags = ["--model", f"{MODULE}:{name}", "--key", str(tmp_path / "k.npz"), "-o", str(out)]
    assert main(["encrypt-model", *flags]) == 2
    assert reason in capsys.readouterr().err and not out.exists()


def test_help_says_how_a_file_is_loaded_again(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["encrypt-model", "--help"])
    said = capsys.readouterr().out
    assert "lift_model(model.network, first_layer, cut.block_size, cut)" in said and "load_state_dict" in said
