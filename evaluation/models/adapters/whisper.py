"""Whisper under a key: log-mel spectrograms into an encoder-decoder recogniser (Radford et al., 2023).

The query is Whisper's own log-mel spectrogram, 80 or 128 bins by 3,000 frames (30 s, shorter speech filled with
silence). The encoder's first layer, a convolution of kernel 3 over time with one input channel per bin, absorbs a key
on whole frames (one block is one frame of all bins) or on ``M × M`` tiles of the spectrogram.

The encoder and the greedy decoder run here from the submodules of transformers' network: the first layer may have
been replaced by one of any class that answers any number of rows, and a step of the decoder has to cost little,
because every utterance is decoded under every key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.pretrained import import_transformers, open_network, open_part, split_options
from wrongkey.evaluation.models.protocol import Hypothesis

MULTILINGUAL = 51_865  # with at least this many tokens a vocabulary knows languages and tasks
LOOK = 8  # steps of the decoder on a GPU after which it is looked which texts have ended
COPYING = 2  # steps of a row that cost as much as to copy its keys and values, which a step reads once
LOG_FLOOR, LOG_RANGE = 1e-10, 8.0  # decades that lie below the loudest value of a piece are cut


@dataclass(frozen=True)
class LogMel:
    """Whisper's front end, equal to ``WhisperFeatureExtractor`` of transformers.

    Parameters
    ----------
    filters: mel filter bank ``(n_fft // 2 + 1, bins)``.
    n_fft, hop: window and step in samples.
    samples: length of one piece, 30 s.
    """

    filters: Tensor
    n_fft: int = 400
    hop: int = 160
    samples: int = 480_000

    def __call__(self, waveform: Tensor) -> Tensor:
        """Waveform ``(samples,)`` to ``(bins, pieces · frames)``: consecutive pieces of 30 s, the last one filled."""
        pieces = torch.split(waveform, self.samples)
        return torch.cat([self._piece(piece) for piece in pieces], dim=1)

    def _piece(self, waveform: Tensor) -> Tensor:
        """One piece ``(samples,)`` to ``(bins, frames)``. No window that lies in the filling is computed."""
        audible = min(-(-(len(waveform) + self.n_fft) // self.hop) * self.hop, self.samples)
        waveform = F.pad(waveform, (0, audible - len(waveform)))
        window = torch.hann_window(self.n_fft, device=waveform.device)
        spectrum = torch.stft(waveform, self.n_fft, self.hop, window=window, return_complex=True)[:, :-1]
        power = self.filters.T.to(waveform.device) @ spectrum.abs().square()
        log = power.clamp(min=LOG_FLOOR).log10()
        log = F.pad(log, (0, self.samples // self.hop - log.shape[1]), value=-10.0)
        return (log.maximum(log.max() - LOG_RANGE) + 4) / 4


@dataclass
class Whisper:
    """Whisper in eval mode, decoded greedily without timestamps.

    Parameters
    ----------
    network: ``WhisperForConditionalGeneration`` of transformers.
    tokenizer: its tokenizer.
    log_mel: its front end.
    prompt: the tokens that decoding starts from: start, language and task where it knows several, no timestamps.
    end: the token that ends a text; every token behind it is special and never chosen.
    silent: tokens that the checkpoint's generation settings never allow, and ``silent_first`` not as first one.
    max_tokens: the bound on the tokens of one piece of 30 s. On what a wrong key makes of speech the decoder may
        repeat itself without end: its text is cut here, scored as it is, and marked as a runaway. The default is half
        of the decoder's positions (224), the bound of the reference implementation (``sample_len`` in openai/whisper)
        and above what a person says in 30 s. The bound knows neither the utterance's length nor its transcript.
    """

    network: nn.Module
    tokenizer: Any
    log_mel: LogMel
    prompt: tuple[int, ...]
    end: int
    silent: tuple[int, ...]
    silent_first: tuple[int, ...]
    max_tokens: int
    block_size: int  # bins: one block is one frame
    sample_rate: int = 16_000
    name: str = "whisper"
    first_layer: str = "model.encoder.conv1"
    blocks: str = "frames"
    external: bool = False

    def front_end(self, waveform: Tensor) -> Tensor:
        """Waveform ``(samples,)`` to its log-mel spectrogram ``(bins, pieces · 3000)``."""
        return self.log_mel(waveform)

    def segments(self, query: Tensor) -> Tensor:
        """Spectrogram ``(bins, pieces · 3000)`` to pieces of 30 s ``(pieces, bins, 3000)``."""
        frames = self.log_mel.samples // self.log_mel.hop
        pieces: Tensor = query.unflatten(1, (-1, frames)).transpose(0, 1)  # type: ignore[no-untyped-call]
        return pieces.contiguous()

    @torch.inference_mode()
    def encode(self, queries: Tensor) -> Tensor:
        """Pieces ``(batch, bins, frames)`` to the encoder's answer ``(batch, frames / 2, dim)``.

        Frames that encryption added to fill a block are cut off behind the first layer. Raises BadInput for fewer
        frames than the encoder has positions for.
        """
        encoder: Any = self.network.get_submodule("model.encoder")
        frames = 2 * len(encoder.embed_positions.weight)
        x = encoder.conv1(queries)
        if x.shape[-1] < frames:
            raise BadInput(f"Whisper reads {frames} frames and not {x.shape[-1]}: cut the query with `segments`.")
        rows = torch.split(x, 1) if x.device.type == "cpu" else [x]  # one row's work stays in a CPU's cache
        return torch.cat([encode_frames(encoder, row[..., :frames]) for row in rows])

    def transcribe(self, queries: Tensor) -> list[Hypothesis]:
        """Return what was heard in each of the pieces ``(batch, bins, frames)``.

        Where the first layer answers for several keys, one key's pieces come after another's.
        """
        return self.decode(self.encode(queries))

    def decode(self, encoded: Tensor) -> list[Hypothesis]:
        """The encoder's answer ``(batch, frames, dim)`` to texts, greedily."""
        tokens = greedy(self.network, encoded, self.prompt, self.end, self.silent, self.silent_first, self.max_tokens)
        return [
            Hypothesis(self.tokenizer.decode(t, skip_special_tokens=True).strip(), runaway=len(t) == self.max_tokens)
            for t in tokens
        ]


def load_whisper(place: str) -> Whisper:
    """Whisper from a folder or hub id of transformers, English-only or multilingual.

    Options behind a question mark: ``language`` of a multilingual model (default ``en``) and ``max_tokens``, the bound
    on the tokens of 30 s, as in ``openai/whisper-tiny?language=fr&max_tokens=100``. Raises BadInput.
    """
    transformers = import_transformers("whisper")
    place, options = split_options(place, "whisper", ("language", "max_tokens"))
    config = open_part(transformers.AutoConfig, place, "whisper")
    if config.model_type != "whisper":
        raise BadInput(f"{place} is not a Whisper model but {config.model_type}: see `wrongkey models` for its prefix.")
    network: Any = open_network(transformers.WhisperForConditionalGeneration, place, "whisper")
    extractor = open_part(transformers.WhisperFeatureExtractor, place, "whisper")
    tokenizer = open_part(transformers.WhisperTokenizer, place, "whisper")
    generation = network.generation_config
    end = tokenizer.eos_token_id
    multilingual = getattr(generation, "is_multilingual", config.vocab_size >= MULTILINGUAL)
    return Whisper(
        network=network,
        tokenizer=tokenizer,
        log_mel=LogMel(
            torch.as_tensor(extractor.mel_filters, dtype=torch.float32),
            extractor.n_fft,
            extractor.hop_length,
            extractor.n_samples,
        ),
        prompt=_prompt(tokenizer, place, multilingual, options.get("language")),
        end=end,
        silent=_choosable(generation.suppress_tokens, end),
        silent_first=_choosable(generation.begin_suppress_tokens, end),
        max_tokens=_bound(options.get("max_tokens"), config.max_target_positions),
        block_size=config.num_mel_bins,
        sample_rate=extractor.sampling_rate,
        name=f"whisper:{place}" if not Path(place).is_dir() else Path(place).resolve().name,
    )


def _prompt(tokenizer: Any, place: str, multilingual: bool, language: str | None) -> tuple[int, ...]:
    if language is not None and not multilingual:
        raise BadInput(f"{place} knows English only: leave ?language={language} out.")
    spoken = [f"<|{language or 'en'}|>", "<|transcribe|>"] if multilingual else []
    names = ["<|startoftranscript|>", *spoken, "<|notimestamps|>"]
    known = tokenizer.get_vocab()
    if unknown := [name for name in names if name not in known]:
        raise BadInput(f"{place} has no token {unknown[0]}: give a Whisper checkpoint and a language it knows.")
    return tuple(known[name] for name in names)


def _choosable(tokens: list[int] | None, end: int) -> tuple[int, ...]:
    """Those of ``tokens`` that ``greedy`` could choose: published settings also name special ones behind the end."""
    return tuple(token for token in tokens or () if token <= end)


def _bound(asked: str | None, positions: int) -> int:
    bound = positions // 2 if asked is None else int(asked) if asked.isdecimal() else 0
    if not 1 <= bound <= positions - 4:
        raise BadInput(f"max_tokens must be a number from 1 to {positions - 4}, not {asked}.")
    return bound


def encode_frames(encoder: Any, x: Tensor) -> Tensor:
    """The encoder behind its first layer: ``(rows, dim, frames)`` to ``(rows, frames / 2, dim)``."""
    x = F.gelu(encoder.conv2(F.gelu(x))).transpose(1, 2) + encoder.embed_positions.weight
    for layer in encoder.layers:
        h = layer.self_attn_layer_norm(x)
        x = x + attend(layer.self_attn, h, *keys_values(layer.self_attn, h))
        x = x + feed_forward(layer, x)
    return encoder.layer_norm(x)


@dataclass
class Memory:
    """Keys and values of the decoder's attention, one pair per layer: ``(rows, heads, frames, dim)``."""

    cross: list[tuple[Tensor, Tensor]]
    own: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def keep(self, rows: Tensor) -> None:
        """Keep only these rows of the batch, whose texts are not finished."""
        self.cross = [(k[rows], v[rows]) for k, v in self.cross]
        self.own = [(k[rows], v[rows]) for k, v in self.own]


@torch.inference_mode()
def greedy(
    network: nn.Module,
    encoded: Tensor,
    prompt: tuple[int, ...],
    end: int,
    silent: tuple[int, ...],
    silent_first: tuple[int, ...],
    bound: int,
) -> list[list[int]]:
    """The likeliest next token, step by step: rows ``(batch, frames, dim)`` to at most ``bound`` tokens each.

    A text of ``bound`` tokens did not end by itself. Rows that have ended leave the batch once they have cost as much
    as it costs to copy the others. On a GPU it is looked every few steps whether any have, since looking means waiting.
    """
    decoder: Any = network.get_submodule("model.decoder")
    vocabulary = decoder.embed_tokens.weight[: end + 1]  # tied to the output; what follows is special
    positions = decoder.embed_positions.weight
    memory = Memory([keys_values(layer.encoder_attn, encoded) for layer in decoder.layers])
    heads, width = decoder.layers[0].self_attn.num_heads, decoder.layers[0].self_attn.head_dim
    batch, length, device = len(encoded), len(prompt) + bound, encoded.device
    memory.own = [
        (encoded.new_empty(batch, heads, length, width), encoded.new_empty(batch, heads, length, width))
        for _ in decoder.layers
    ]
    banned = torch.tensor(silent, dtype=torch.int64, device=device)
    banned_first = torch.tensor([*silent, *silent_first], dtype=torch.int64, device=device)
    texts = torch.full((batch, bound), end, device=device)
    rows, done = torch.arange(batch, device=device), torch.zeros(batch, dtype=torch.bool, device=device)
    tokens = torch.tensor(prompt, device=device).expand(batch, -1)
    look = steps_between_looks(device)
    past = idle = 0
    for step in range(bound):
        hidden = decoder.embed_tokens(tokens) + positions[past : past + tokens.shape[1]]
        hidden = decode_step(decoder, hidden, memory, past)
        past += tokens.shape[1]
        logits = hidden[:, -1] @ vocabulary.T
        logits.index_fill_(1, banned if step else banned_first, -torch.inf)
        chosen = torch.where(done, end, logits.argmax(-1))
        texts[rows, step] = chosen
        done = chosen == end
        if (step + 1) % look == 0:
            awake = done.logical_not().nonzero()[:, 0]
            if not len(awake):
                break
            idle += look * (len(rows) - len(awake))
            if idle >= COPYING * len(awake):
                memory.keep(awake)
                chosen, rows, done, idle = chosen[awake], rows[awake], done[awake], 0
        tokens = chosen[:, None]
    return [text[: text.index(end)] if end in text else text for text in texts.tolist()]


def steps_between_looks(device: torch.device) -> int:
    """After how many steps it is looked which texts have ended: on a CPU there is nothing to wait for."""
    return 1 if device.type == "cpu" else LOOK


def decode_step(decoder: Any, hidden: Tensor, memory: Memory, past: int) -> Tensor:
    """The decoder on new positions ``(rows, new, dim)`` behind ``past`` ones; extends ``memory.own``."""
    now = past + hidden.shape[1]
    for layer, (k, v), cross in zip(decoder.layers, memory.own, memory.cross, strict=True):
        h = layer.self_attn_layer_norm(hidden)
        k[:, :, past:now], v[:, :, past:now] = keys_values(layer.self_attn, h)
        hidden = hidden + attend(layer.self_attn, h, k[:, :, :now], v[:, :, :now], causal=now > past + 1)
        h = layer.encoder_attn_layer_norm(hidden)
        hidden = hidden + attend(layer.encoder_attn, h, *cross)
        hidden = hidden + feed_forward(layer, hidden)
    return decoder.layer_norm(hidden)


def keys_values(attention: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values ``(rows, heads, frames, dim / heads)`` of ``x (rows, frames, dim)``."""
    heads = (attention.num_heads, -1)
    k, v = attention.k_proj(x).unflatten(2, heads), attention.v_proj(x).unflatten(2, heads)
    return k.transpose(1, 2).contiguous(), v.transpose(1, 2).contiguous()  # read at every step of the decoder


def attend(attention: Any, x: Tensor, k: Tensor, v: Tensor, causal: bool = False) -> Tensor:
    """Multi-head attention of ``x (rows, frames, dim)`` to keys and values of several heads."""
    q = attention.q_proj(x).unflatten(2, (attention.num_heads, -1)).transpose(1, 2)
    if q.shape[2] == 1:  # the decoder's step: two products are up to ten times faster than the fused kernel
        mixed = torch.softmax(q * attention.scaling @ k.mT, dim=-1) @ v
    else:
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    return attention.out_proj(mixed.transpose(1, 2).flatten(2))


def feed_forward(layer: Any, x: Tensor) -> Tensor:
    """The two linear layers behind an attention, pre-normalised, without the residual."""
    return layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))
