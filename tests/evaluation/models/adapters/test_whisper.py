"""Whisper, made small and random here: front end, encoder and greedy decoder against those of transformers."""

from pathlib import Path

import pytest
import torch

from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import load_audio, open_corpus
from wrongkey.evaluation.exactness import exactness
from wrongkey.evaluation.models.adapters.torchvision_ops import declare_missing_operators
from wrongkey.evaluation.models.adapters.whisper import Whisper
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.tasks.text import normaliser
from wrongkey.keys import SecretKey, encrypt_model, encrypt_query

transformers = pytest.importorskip("transformers")
declare_missing_operators()
REAL = Path(__file__).parents[5] / "shared" / "models" / "whisper-tiny.en"
SPEECH = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
WORDS = [f"Ġw{i}" for i in range(30)]  # Ġ is the tokenizer's blank before a word
SPECIAL = ["endoftext", "startoftranscript", "en", "fr", "transcribe", "notimestamps", "0.00"]
TOKENS = [*WORDS, *(f"<|{name}|>" for name in SPECIAL)]
END = TOKENS.index("<|endoftext|>")


def saved(folder: Path, multilingual: bool = False, bins: int = 8, **generation) -> Path:
    """A folder as transformers writes it: network, front end, tokenizer, generation settings."""
    torch.manual_seed(0)
    config = transformers.WhisperConfig(
        vocab_size=len(TOKENS),
        num_mel_bins=bins,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=4,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=100,
        max_target_positions=24,
        init_std=0.5,
        bos_token_id=END,
        pad_token_id=END,
        eos_token_id=END,
        decoder_start_token_id=END + 1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    network = transformers.WhisperForConditionalGeneration(config)
    settings = {"is_multilingual": multilingual, "_from_model_config": False, **generation}
    for name, value in settings.items():
        setattr(network.generation_config, name, value)
    network.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=bins, chunk_length=2).save_pretrained(folder)
    vocabulary = {token: i for i, token in enumerate(TOKENS)}
    tokenizer = transformers.WhisperTokenizer(vocab=vocabulary, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{name}|>" for name in SPECIAL]})
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return saved(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def model(folder):
    return open_model(f"whisper:{folder}")


def pieces(model, count: int) -> torch.Tensor:
    """Queries of different noises: `(count, bins, 200)`."""
    noises = torch.randn(count, 9_000, generator=torch.Generator().manual_seed(3))
    return torch.cat([model.segments(model.front_end(noise * 0.3**i)) for i, noise in enumerate(noises)])


@pytest.mark.parametrize("samples", [150, 16_000, 31_700, 32_000])
def test_the_front_end_is_whispers(folder, model, samples):
    extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)
    waveform = torch.randn(samples) * 0.1
    waveform[samples // 2 :] = 0
    expected = torch.from_numpy(extractor(waveform.numpy(), sampling_rate=16_000)["input_features"][0])
    torch.testing.assert_close(model.front_end(waveform), expected, atol=1e-5, rtol=0)


def test_long_speech_is_cut_into_pieces(model):
    waveform = torch.randn(70_000) * 0.1
    queries = model.segments(model.front_end(waveform))
    assert queries.shape == (3, 8, 200)
    for piece, query in zip(waveform.split(32_000), queries, strict=True):
        torch.testing.assert_close(query, model.front_end(piece))


def test_the_encoder_is_that_of_transformers(model):
    queries = pieces(model, 3)
    expected = model.network.model.encoder(queries).last_hidden_state
    torch.testing.assert_close(model.encode(queries), expected, atol=1e-5, rtol=1e-5)


def decoded_step_by_step(model, query: torch.Tensor, silent: tuple[int, ...], first: tuple[int, ...]) -> list[int]:
    """Greedy decoding of one query, the whole network asked anew for every token."""
    tokens = list(model.prompt)
    while len(tokens) < len(model.prompt) + model.max_tokens:
        logits = model.network(input_features=query[None], decoder_input_ids=torch.tensor([tokens])).logits[0, -1]
        banned = [*silent, *range(END + 1, len(TOKENS)), *(first if len(tokens) == len(model.prompt) else ())]
        logits[banned] = -torch.inf
        tokens.append(int(logits.argmax()))
        if tokens[-1] == END:
            return tokens[len(model.prompt) : -1]
    return tokens[len(model.prompt) :]


@pytest.mark.parametrize("silent", [(), (3, 7)])
def test_greedy_decoding_is_exact_in_any_batch(tmp_path, silent):
    folder = saved(tmp_path, suppress_tokens=list(silent), begin_suppress_tokens=[END, 1])
    model = of_type(Whisper, open_model(f"whisper:{folder}"))
    assert (model.silent, model.silent_first) == (silent, (END, 1))
    queries = pieces(model, 9)
    endless = [decoded_step_by_step(model, query, silent, (END, 1)) for query in queries]
    where = {token: [text.index(token) for text in endless if token in text] for token in range(END)}
    likely = max(where, key=lambda token: len(set(where[token])))
    embedded = model.network.get_parameter("model.decoder.embed_tokens.weight")
    embedded[END] = 1.01 * embedded[likely]
    expected = [decoded_step_by_step(model, query, silent, (END, 1)) for query in queries]
    lengths = {len(tokens) for tokens in expected}
    assert len(lengths) > 2 and model.max_tokens in lengths
    heard = [Hypothesis(model.tokenizer.decode(t).strip(), len(t) == model.max_tokens) for t in expected]
    for batch in (1, 4, 9):
        assert [h for x in queries.split(batch) for h in model.transcribe(x)] == heard


@pytest.mark.parametrize(("blocks", "block"), [("frames", 8), ("frames", 3), ("tiles", 8), ("tiles", 7), ("tiles", 3)])
def test_frames_and_tiles_are_encrypted(model, blocks, block):
    key = SecretKey.from_seed("rom", block, dims=2 if blocks == "tiles" else 1, seed=1)
    assert exactness(model, key, blocks, SPEECH).relative < 1e-5
    queries = pieces(model, 2)
    wrong = encrypt_query(queries, SecretKey.from_seed("rom", block, dims=key.dims, seed=2), blocks=blocks)
    model.network = encrypt_model(model.network, model.first_layer, key, blocks)
    answers = model.encode(encrypt_query(queries, key, blocks=blocks)), model.encode(wrong)
    assert answers[0].shape == (2, 100, 16)
    assert (answers[0] - answers[1]).abs().max() > 1e-2


def test_a_first_layer_may_answer_for_several_keys(model):
    queries = pieces(model, 2)
    alone = model.transcribe(queries)

    class Twice(torch.nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return torch.cat([self.layer(x), self.layer(x)])

    model.network.model.encoder.conv1 = Twice(model.network.model.encoder.conv1)
    assert model.transcribe(queries) == alone * 2


def test_bfloat16_decodes(model):
    model.network.to(torch.bfloat16)
    assert len(model.transcribe(pieces(model, 2).bfloat16())) == 2


def test_prompts(tmp_path, model):
    assert [TOKENS[i] for i in model.prompt] == ["<|startoftranscript|>", "<|notimestamps|>"]
    folder = saved(tmp_path, multilingual=True)
    spoken = of_type(Whisper, open_model(f"whisper:{folder}?language=fr&max_tokens=5"))
    assert [TOKENS[i] for i in spoken.prompt[1:]] == ["<|fr|>", "<|transcribe|>", "<|notimestamps|>"]
    assert spoken.max_tokens == 5 and model.max_tokens == 12
    assert TOKENS[of_type(Whisper, open_model(f"whisper:{folder}")).prompt[1]] == "<|en|>"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("?language=fr", "knows English only"),
        ("?max_tokens=0", "max_tokens must be a number from 1 to 20, not 0"),
        ("?max_tokens=many", "not many"),
        ("?beam=3", "no option 'beam': possible are language and max_tokens"),
    ],
)
def test_options_that_make_no_sense_are_refused(folder, options, said):
    with pytest.raises(BadInput, match=said):
        open_model(f"whisper:{folder}{options}")


def test_other_models_are_refused(tmp_path, model):
    with pytest.raises(BadInput, match="is not there"):
        open_model(f"whisper:{tmp_path}/none")
    transformers.HubertConfig().save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="not a Whisper model but hubert"):
        open_model(f"whisper:{tmp_path}")
    with pytest.raises(BadInput, match="reads 200 frames and not 150"):
        model.encode(torch.zeros(1, 8, 150))
    folder = saved(tmp_path / "french", multilingual=True)
    with pytest.raises(BadInput, match=r"no token <\|de\|>"):
        open_model(f"whisper:{folder}?language=de")


@pytest.mark.skipif(not REAL.is_dir(), reason="needs shared/models/whisper-tiny.en")
def test_tiny_en():
    model = of_type(Whisper, open_model(f"whisper:{REAL}?max_tokens=30"))
    assert (model.block_size, model.max_tokens) == (80, 30)
    utterance = open_corpus("bundled").utterances[0]
    query = model.segments(model.front_end(torch.from_numpy(load_audio(utterance))))
    basic = normaliser("basic")
    assert basic(model.transcribe(query)[0].text) == basic(present(utterance.text))
    expected = model.network.get_submodule("model.encoder")(query).last_hidden_state
    key = SecretKey.from_seed("rom", 80, seed=1)
    model.network = encrypt_model(model.network, model.first_layer, key, "frames")
    answer = model.encode(encrypt_query(query, key, blocks="frames"))
    assert (answer - expected).abs().max() < 1e-4 * expected.abs().max()
