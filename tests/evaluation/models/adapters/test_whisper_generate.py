"""Whisper's greedy decoder against transformers' own `generate`, on a small network with random weights."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wrongkey.evaluation.models.adapters import whisper as adapter
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.registry import open_model

declare_missing_operators()
transformers = pytest.importorskip("transformers")
BINS, FRAMES = 80, 100
LETTERS = "etaoinsh"  # all that it may say: a random network then ends some of its texts
TEXT = [chr(code) for code in range(33, 127)]
NAMES = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|fr|>", "<|transcribe|>", "<|notimestamps|>"]
VOCABULARY = {token: place for place, token in enumerate(TEXT + NAMES)}
END = VOCABULARY["<|endoftext|>"]
SEED, STD = 8, 0.5
SILENT = [place for token, place in VOCABULARY.items() if token not in LETTERS and place != END]


def save(folder):
    torch.manual_seed(SEED)
    config = transformers.WhisperConfig(
        vocab_size=len(VOCABULARY),
        num_mel_bins=BINS,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_source_positions=FRAMES // 2,
        max_target_positions=40,
        init_std=STD,
        pad_token_id=END,
        bos_token_id=END,
        eos_token_id=END,
        decoder_start_token_id=VOCABULARY["<|startoftranscript|>"],
    )
    network = transformers.WhisperForConditionalGeneration(config)
    torch.nn.init.normal_(network.model.decoder.embed_tokens.weight.data[END], std=STD)  # zero, as all padding is
    settings = network.generation_config
    settings._from_model_config = False  # else transformers leaves out what follows when it opens the folder
    settings.is_multilingual = False
    settings.suppress_tokens, settings.begin_suppress_tokens = SILENT, [VOCABULARY["e"], END]
    settings.no_timestamps_token_id = VOCABULARY["<|notimestamps|>"]
    network.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=BINS, chunk_length=1).save_pretrained(folder)
    tokenizer = transformers.WhisperTokenizer(vocab=VOCABULARY, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": NAMES[1:]})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def whisper(folder):
    return open_model(f"whisper:{folder}")


def queries(number):
    """Spectrograms that differ more than those of noises do."""
    return torch.randn(number, BINS, 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, FRAMES)


def test_greedy_texts_are_those_of_generate(whisper):
    """Rows end at different steps, so that some leave the batch while others go on."""
    asked = queries(12)
    prompt = torch.tensor([whisper.prompt]).expand(len(asked), -1)
    bound = whisper.max_tokens
    generated = whisper.network.generate(
        asked, decoder_input_ids=prompt, max_new_tokens=bound, do_sample=False, num_beams=1
    )
    expected = [[token for token in row if token < END] for row in generated.tolist()]
    heard = whisper.transcribe(asked)
    assert [text.text for text in heard] == ["".join(TEXT[token] for token in row) for row in expected]
    assert [text.runaway for text in heard] == [len(row) == bound for row in expected]
    lengths = {len(row) for row in expected}
    assert bound in lengths and len(lengths) > 4
    assert all(set(row.text) <= set(LETTERS) and row.text[:1] != "e" for row in heard)


def test_a_text_does_not_depend_on_what_is_decoded_beside_it(whisper):
    asked = queries(5)
    assert whisper.transcribe(asked) == [whisper.transcribe(query[None])[0] for query in asked]


class Looks(TorchDispatchMode):
    """Counts how often a program asks which entries are true, for which it must wait for the device."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten.nonzero.default, torch.ops.aten._local_scalar_dense.default)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("steps", [3, 8])
def test_a_decoder_that_looks_seldom_hears_the_same(whisper, monkeypatch, steps):
    asked = queries(12)
    with Looks() as often:
        expected = whisper.transcribe(asked)
    monkeypatch.setattr(adapter, "steps_between_looks", lambda device: steps)
    with Looks() as seldom:
        assert whisper.transcribe(asked) == expected
    assert any(text.runaway for text in expected)
    assert (often.count, seldom.count) == (whisper.max_tokens, whisper.max_tokens // steps)
