"""The bundled recogniser: its weights, its front end, what it hears in the bundled voices; and its training data."""

import numpy as np
import pytest
import torch

from tests.narrow import present
from training.asr_words import Recipe, Sequences, spectrograms_of, train
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus, word_sequences
from wrongkey.evaluation.models.bundled import asr_words
from wrongkey.evaluation.models.bundled.asr_words import load_asr_words
from wrongkey.evaluation.models.offered import model_card
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.tasks.asr import SpeechRecognition


@pytest.fixture(scope="module")
def model():
    return load_asr_words()


@pytest.fixture(scope="module")
def spoken():
    """Bundled word sequences: utterances and waveforms."""
    utterances = [u for u in open_corpus("bundled").utterances if "-words" in u.id][::4]
    return utterances, [torch.from_numpy(load_audio(u)) for u in utterances]


def test_the_weights_are_small_and_the_first_layer_reads_whole_tiles(model):
    assert (asr_words.WEIGHTS / "asr-words.safetensors").stat().st_size <= 4_000_000
    first = model.network.get_submodule(model.first_layer)
    assert first.kernel_size == first.stride == (3, 3) and first.padding == (0, 0)
    assert "WER" in model_card("asr-words")


def test_it_hears_most_words_of_voices_it_was_never_trained_on(model, spoken):
    utterances, waveforms = spoken
    task = SpeechRecognition.of(utterances, "basic", 0, 0)
    heard = [Hypothesis(model.transcribe(model.segments(model.front_end(w)))[0]) for w in waveforms]
    assert task.measure(task.scores([heard]))[0]["value"] < 30
    noise = torch.randn(32_000, generator=torch.Generator().manual_seed(0))
    assert len(model.transcribe(model.segments(model.front_end(noise)))[0].split()) < 5


def test_batches_and_folding_change_no_answer(model, spoken):
    queries = torch.stack([model.front_end(w)[:, :150] for w in spoken[1] if len(w) > 26_000][:3])
    together = model.encode(queries)
    torch.testing.assert_close(together, torch.cat([model.encode(q[None]) for q in queries]), rtol=1e-4, atol=1e-4)
    unfolded = load_asr_words(folded=False)
    torch.testing.assert_close(unfolded.encode(queries), together, rtol=1e-4, atol=1e-4)
    assert model.transcribe(queries) == unfolded.transcribe(queries)


def test_the_front_end_knows_no_loudness_and_gives_whole_tiles(model, spoken):
    wave = spoken[1][0]
    query = model.front_end(wave)
    assert query.shape[0] == 48 and query.shape[1] % 3 == 0
    torch.testing.assert_close(model.front_end(0.1 * wave), query, rtol=1e-3, atol=1e-3)
    assert model.front_end(torch.full((100,), 0.1)).shape == (48, 30)


def test_training_hears_what_the_front_end_gives(model, spoken):
    """The batched spectrograms of training are those of the front end, up to the edge where zeros follow."""
    wave = spoken[1][0]
    emphasised = wave.clone()
    emphasised[1:] -= 0.97 * wave[:-1]
    emphasised /= emphasised.square().mean().sqrt()
    padded = torch.nn.functional.pad(emphasised, (0, 16_000))
    spectrograms, frames = spectrograms_of(padded[None], torch.tensor([len(wave)]))
    query = model.front_end(wave)
    assert int(frames) == query.shape[1] == spectrograms.shape[2]
    torch.testing.assert_close(spectrograms[0, :, :-3], query[:, :-3], rtol=1e-3, atol=2e-2)


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_a_damaged_weight_file_is_refused(content, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(BadInput, match=r"w\.safetensors"):
        load_asr_words(path=tmp_path / "w.safetensors")


def test_greedy_ctc_drops_blanks_and_repeats():
    assert asr_words.decode([0, 1, 1, 0, 1, 2, 2, 0]) == "YES YES NO"
    assert asr_words.decode([0, 0]) == ""


def words_of(speaker: str, count: int = 4) -> list[word_sequences.Word]:
    rng = np.random.default_rng(len(speaker))
    waves = [np.pad(rng.normal(0, 0.1, 4_000), (2_000, 6_000)).astype(np.float32) for _ in range(count)]
    texts = word_sequences.WORDS[:count]
    return [word_sequences.Word(t, speaker, w, word_sequences.trimmed(w)) for t, w in zip(texts, waves, strict=True)]


def test_no_speaker_is_in_two_parts():
    speakers = [f"s{i}" for i in range(50)]
    parts = [set(word_sequences.speakers_of(part, speakers)) for part in word_sequences.PARTS]
    assert set.union(*parts) == set(speakers)
    assert sum(map(len, parts)) == 50
    assert word_sequences.speakers_of("test", speakers[::-1]) == word_sequences.speakers_of("test", speakers)
    with pytest.raises(BadInput, match="holdout"):
        word_sequences.speakers_of("holdout", speakers)


def test_trimming_keeps_what_is_loud():
    word = words_of("ann")[0]
    assert len(word.trimmed) < 6_500
    assert np.square(word.trimmed).sum() == pytest.approx(np.square(word.wave).sum(), rel=1e-5)


def test_sequences_are_written_as_a_corpus_and_again_the_same(tmp_path):
    words = {"ann": words_of("ann"), "bob": words_of("bob")}
    for name in ("one", "two"):
        word_sequences.write_sequences(tmp_path / name, words, 4, seed=3)
    one, two = (open_corpus(tmp_path / name) for name in ("one", "two"))
    assert one.digest() == two.digest()
    for utterance in one.utterances:
        assert word_sequences.LEAST <= len(present(utterance.text).split()) <= word_sequences.MOST
        assert len(load_audio(utterance)) > 4_000


def test_training_knows_its_checkpoint(tmp_path):
    """A training that is done is not done again, and a checkpoint of another recipe is refused."""
    data = Sequences({"ann": words_of("ann"), "bob": words_of("bob")}, np.zeros((1, 80_000), dtype=np.float32))
    recipe = Recipe(steps=4, batch=2)
    whole = train(recipe, data, tmp_path)
    checkpoint = torch.load(tmp_path / "asr-words.checkpoint.pt", weights_only=True)
    assert checkpoint["done"] == 4
    again = train(recipe, data, tmp_path)  # nothing is left to do
    for a, b in zip(whole.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(BadInput, match="another recipe"):
        train(Recipe(steps=5, batch=2), data, tmp_path)
