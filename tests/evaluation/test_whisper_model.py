"""Whisper, a small one with random weights that hears one second: front end, greedy decoder, keys, refusals."""

import json

import pytest
import torch

from evaluation.exactness import exactness, fitted_queries
from evaluation.experiment import key_of
from evaluation.models.protocol import open_model
from evaluation.models.torchvision_ops import declare_missing_operators
from keys import SecretKey, dims_of, encrypt_query
from keys.errors import BadInput

declare_missing_operators()
transformers = pytest.importorskip("transformers")
SPEECH = 0.1 * torch.randn(12_000, generator=torch.Generator().manual_seed(0))
BINS, FRAMES = 80, 100
LETTERS = "etaoinsh"  # all that it may say: a random network then ends some of its texts
TEXT = [chr(code) for code in range(33, 127)]
NAMES = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|fr|>", "<|transcribe|>", "<|notimestamps|>"]
VOCABULARY = {token: place for place, token in enumerate(TEXT + NAMES)}
END = VOCABULARY["<|endoftext|>"]
SEED, STD = 8, 0.5
SILENT = [place for token, place in VOCABULARY.items() if token not in LETTERS and place != END]


def save(folder, multilingual=False):
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
    settings.is_multilingual = multilingual
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


@pytest.mark.parametrize("samples", [1, 399, 12_000, 15_900, 16_000])
def test_the_front_end_is_that_of_transformers(whisper, folder, samples):
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    waveform = torch.linspace(-0.5, 0.5, samples).sin() + SPEECH.repeat(2)[:samples]
    expected = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt").input_features[0]
    torch.testing.assert_close(whisper.front_end(waveform), expected, rtol=0, atol=1e-4)


def test_long_speech_is_cut_into_pieces(whisper):
    waveform = SPEECH.repeat(3)  # 36,000 samples: two whole seconds and a quarter
    pieces = whisper.segments(whisper.front_end(waveform))
    assert pieces.shape == (3, BINS, FRAMES)
    torch.testing.assert_close(pieces[1], whisper.front_end(waveform[16_000:32_000]))
    torch.testing.assert_close(pieces[2], whisper.front_end(waveform[32_000:]))


def test_the_encoder_is_that_of_transformers(whisper):
    asked = queries(3)
    expected = whisper.network.model.encoder(asked).last_hidden_state
    torch.testing.assert_close(whisper.encode(asked), expected, rtol=1e-4, atol=1e-4)


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


def test_a_runaway_is_cut_at_the_bound_and_marked(folder):
    model = open_model(f"whisper:{folder}?max_tokens=1")
    heard = model.transcribe(queries(3))
    assert all(len(text.text) == 1 and text.runaway for text in heard)  # the first token may not be the end
    with torch.no_grad():
        model.network.model.decoder.layer_norm.weight.zero_()
        model.network.model.decoder.layer_norm.bias.copy_(model.network.model.decoder.embed_tokens.weight[END])
        model.network.model.decoder.embed_tokens.weight[:END] *= 1e-3  # it says the end wherever it may
    model.max_tokens = 5
    assert all(len(text.text) == 1 and not text.runaway for text in model.transcribe(queries(3)))


@pytest.mark.parametrize(
    ("blocks", "block"), [("frames", BINS), ("frames", 8), ("frames", 7), ("tiles", 8), ("tiles", 3)]
)
def test_the_correct_key_changes_nothing(whisper, blocks, block):
    """Tiles of 3 fill neither the 80 bins nor the 100 frames: the encrypted network reads more of both."""
    key = SecretKey.from_seed("rom", block, dims_of(blocks), seed=1)
    assert exactness(whisper, key, blocks, SPEECH).relative < 1e-4
    queries = fitted_queries(whisper, SPEECH, block, blocks)
    plain = whisper.encode(queries)
    wrong = whisper.encode(encrypt_query(queries, key, blocks=blocks)[:, :BINS])
    assert float((wrong - plain).abs().max() / plain.abs().max()) > 1e-2


def test_a_block_is_a_whole_frame_unless_asked_otherwise(whisper):
    assert key_of(whisper, None, None) == ("frames", BINS)
    assert key_of(whisper, "tiles", 4) == ("tiles", 4)


def test_fewer_frames_than_positions_are_refused(whisper):
    with pytest.raises(BadInput, match="reads 100 frames and not 90"):
        whisper.encode(torch.zeros(1, BINS, 90))


def test_languages_of_a_multilingual_model(tmp_path):
    save(tmp_path, multilingual=True)
    names = ["<|startoftranscript|>", "<|fr|>", "<|transcribe|>", "<|notimestamps|>"]
    assert open_model(f"whisper:{tmp_path}?language=fr").prompt == tuple(VOCABULARY[name] for name in names)
    names[1] = "<|en|>"
    assert open_model(f"whisper:{tmp_path}").prompt == tuple(VOCABULARY[name] for name in names)
    with pytest.raises(BadInput, match=r"no token <\|xx\|>"):
        open_model(f"whisper:{tmp_path}?language=xx")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("language=fr", "knows English only"),
        ("max_tokens=0", "from 1 to 36, not 0"),
        ("max_tokens=many", "from 1 to 36, not many"),
        ("beam=5", "no option 'beam'"),
    ],
)
def test_options_it_cannot_take_are_refused(folder, options, reason):
    with pytest.raises(BadInput, match=reason):
        open_model(f"whisper:{folder}?{options}")


@pytest.mark.parametrize(
    ("place", "reason"),
    [("", "no model is given"), ("/nowhere/model", "is not there"), ("./nowhere", "is not there")],
)
def test_places_where_no_model_is_are_refused(place, reason):
    with pytest.raises(BadInput, match=reason):
        open_model(f"whisper:{place}")


def test_folders_of_something_else_are_refused(tmp_path):
    with pytest.raises(BadInput, match=r"has no config\.json"):
        open_model(f"whisper:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "hubert"}))
    with pytest.raises(BadInput, match="no Whisper model but hubert"):
        open_model(f"whisper:{tmp_path}")
    (tmp_path / "config.json").write_text("not JSON")
    with pytest.raises(BadInput, match="cannot be read as whisper"):
        open_model(f"whisper:{tmp_path}")
