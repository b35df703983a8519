"""The bundled classifier of sound events and the script that trains it."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from training import asc_convmixer as training
from wrongkey.errors import BadInput
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.bundled import asc_convmixer
from wrongkey.evaluation.models.bundled.asc_convmixer import ConvMixer, load_asc_convmixer
from wrongkey.evaluation.models.front_ends import joined, split, whole_clips
from wrongkey.evaluation.models.offered import model_card
from wrongkey.keys import SCHEMES, Blocks, SecretKey, encrypt_query

WEIGHTS = asc_convmixer.WEIGHTS / "asc-convmixer.safetensors"
NOISE = torch.randn(80_000, generator=torch.Generator().manual_seed(0))
TIME = torch.arange(80_000) / 16_000


@pytest.fixture(scope="module")
def model():
    return load_asc_convmixer()


def answer(model, waveform):
    return model.classes[int(model.classify(model.segments(model.front_end(waveform))).mean(0).argmax())]


# the model


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("block", [8, 16])
def test_the_correct_key_gives_the_plain_answers(model, block, scheme):
    key = SecretKey.from_seed(scheme, block, 2, seed=1)
    assert exactness(model, key, Blocks.TILES, NOISE).relative < 1e-5
    queries = model.segments(model.front_end(NOISE))
    wrong = encrypt_query(queries, key, blocks="tiles")[..., : queries.shape[-1]]
    assert not torch.allclose(model.classify(wrong), model.classify(queries), rtol=1e-2)


def test_it_is_the_convmixer_of_timm(model):
    declare_missing_operators()
    convmixer = pytest.importorskip("timm.models.convmixer")
    sizes = {"dim": asc_convmixer.DIM, "depth": asc_convmixer.DEPTH, "kernel_size": asc_convmixer.KERNEL}
    theirs = convmixer.ConvMixer(**sizes, patch_size=8, in_chans=1, num_classes=10).eval()
    theirs.load_state_dict(load_file(WEIGHTS))
    queries = model.segments(model.front_end(NOISE))
    torch.testing.assert_close(model.classify(queries), theirs(queries.unsqueeze(1)))


def test_the_weights_are_small_and_the_first_layer_reads_whole_tiles(model):
    assert WEIGHTS.stat().st_size <= 4_000_000
    first = model.network.get_submodule(model.first_layer)
    assert first.kernel_size == first.stride == (8, 8) and first.padding == (0, 0)
    assert len(model.classes) == 10 and "dog" in model.classes
    assert "ESC-10" in model_card("asc-convmixer")


def test_it_knows_rain_and_an_engine_from_afar(model):
    assert answer(model, 0.1 * NOISE) == "rain"
    assert answer(model, 0.1 * ((90 * TIME) % 1 - 0.5 + 0.03 * NOISE)) == "helicopter"


def test_the_front_end_forgets_the_level_and_is_deterministic(model):
    query = model.front_end(NOISE)
    assert query.shape == (64, 248)
    assert torch.equal(query, model.front_end(NOISE))
    torch.testing.assert_close(query, model.front_end(0.01 * NOISE), atol=1e-3, rtol=0)
    assert float(query.mean()) == pytest.approx(0, abs=1e-4) and float(query.std()) == pytest.approx(1, abs=1e-3)
    assert torch.equal(model.front_end(torch.zeros(80_000)), torch.zeros(64, 248))


def test_long_recordings_are_cut_and_short_ones_repeated(model):
    assert model.segments(model.front_end(NOISE.repeat(2))).shape == (2, 64, 248)
    assert model.segments(model.front_end(NOISE[:100])).shape == (1, 64, 248)
    with pytest.raises(BadInput, match="without samples"):
        model.front_end(NOISE[:0])


def test_clips_are_cut_side_by_side():
    spectrogram = torch.arange(14.0).reshape(2, 7)
    assert whole_clips(spectrogram, 3).tolist() == [[[0, 1, 2], [7, 8, 9]], [[3, 4, 5], [10, 11, 12]]]
    assert whole_clips(spectrogram, 5)[0].tolist() == [[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]]
    assert whole_clips(spectrogram, 4).tolist() == [[[0, 1, 2, 3], [7, 8, 9, 10]], [[4, 5, 6, 0], [11, 12, 13, 7]]]
    assert whole_clips(spectrogram, 9)[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert torch.equal(joined(split(spectrogram[:, :6], 3)), spectrogram[:, :6])


def test_unfit_weights_are_named(tmp_path):
    path = tmp_path / "other.safetensors"
    with pytest.raises(BadInput, match=r"other\.safetensors"):
        load_asc_convmixer(path=path)
    save_file(load_file(WEIGHTS), path)
    with pytest.raises(BadInput, match="not the weights of asc-convmixer"):
        load_asc_convmixer(path=path)
    save_file(load_file(WEIGHTS), path, {"classes": '["dog", "rain"]'})
    with pytest.raises(BadInput, match="cannot be read as weights"):
        load_asc_convmixer(path=path)


# the training


@pytest.fixture
def clips():
    generator = torch.Generator().manual_seed(0)
    log_mel = torch.randn(10, len(training.SPEEDS), 64, 248, generator=generator)
    return training.Clips(log_mel, torch.arange(10) % 2, torch.arange(10) // 2 + 1, ("dog", "rain"))


def test_resumed_training_equals_uninterrupted(tmp_path, clips):
    recipe = training.Recipe(fold=5, epochs=3, batch=4)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    once = training.train(recipe, clips, whole).state_dict()
    halfway = training.train(recipe, clips, parts, stop_at=2).state_dict()
    again = training.train(recipe, clips, parts).state_dict()
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["head.weight"], halfway["head.weight"])
    with pytest.raises(BadInput, match="another recipe"):
        training.train(replace(recipe, seed=1), clips, parts)
    (parts / "asc-convmixer-fold5.checkpoint.pt").write_bytes(b"half a checkpoint")
    with pytest.raises(BadInput, match="remove it"):
        training.train(recipe, clips, parts)


def test_the_held_out_fold_is_never_seen(tmp_path, clips):
    clips.log_mel[clips.fold == 5] = float("nan")
    network = training.train(training.Recipe(fold=5, epochs=1, batch=4), clips, tmp_path)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_accuracy_and_confusions_of_a_fold(clips):
    class Guess(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[1.0, 0.0]]).expand(len(x), 2)  # always a dog

    assert training.held_out(cast(ConvMixer, Guess()), clips, 2) == {
        "accuracy_percent": 50.0,
        "clips": 2,
        "confusions": {"rain taken for dog": 1},
    }


def test_augmentation_changes_clips_and_leaves_the_original(clips):
    before = clips.log_mel.clone()
    first, again = (training.augmented(np.random.default_rng(seed), clips.log_mel[:2, 0]) for seed in (0, 0))
    assert torch.equal(first, again) and first.shape == (2, 64, 248)
    assert not torch.allclose(first, before[:2, 0]) and torch.equal(clips.log_mel, before)
    x, target = training.mixed(np.random.default_rng(0), before[:4, 0], torch.eye(4))
    assert x.shape == (4, 64, 248) and torch.allclose(target.sum(1), torch.ones(4))


@dataclass(frozen=True)
class SmallRecipe(training.Recipe):
    batch: int = 4


def esc50(folder):
    """One clip of each fold and two classes, and one that is not of ESC-10."""
    (folder / "audio").mkdir(parents=True)
    rows = [(f"{fold}-{name}.wav", fold, name, True) for fold in range(1, 6) for name in ("dog", "rain")]
    rows.append(("1-cow.wav", 1, "cow", False))
    lines = [
        "filename,fold,target,category,esc10",
        *(f"{file},{fold},0,{name},{ten}" for file, fold, name, ten in rows),
    ]
    (folder / "esc50.csv").write_text("\n".join(lines))
    for file, _, _, ten in rows:
        if ten:
            soundfile.write(folder / "audio" / file, 0.1 * NOISE[:16_000].numpy(), 16_000)
    return folder


def test_the_command_trains_five_folds_and_writes_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "Recipe", SmallRecipe)
    monkeypatch.setattr(training, "least_milliseconds", lambda function, argument: 1.0)
    flags = ["--esc50", str(esc50(tmp_path / "esc")), "--out", str(tmp_path / "out"), "--epochs", "1"]
    assert training.main(flags) == 0, capsys.readouterr().err
    made = load_asc_convmixer(path=tmp_path / "out" / "asc-convmixer.safetensors")
    assert made.classes == ("dog", "rain") and isinstance(made.network, ConvMixer)
    (tmp_path / "esc" / "esc50.csv").unlink()
    assert training.main(flags) == 2
    assert "no esc50.csv" in capsys.readouterr().err
