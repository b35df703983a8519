"""Small speaker models for tests, made by functions without arguments as a user's would be."""

import os
import time

import torch
from torch import Tensor, nn

from wrongkey.evaluation.models.protocol import Hypothesis

SEGMENT = 4_800


class Toy:
    """A first layer of one's choice and a second convolution; embeddings are mean and deviation over time."""

    sample_rate = 16_000
    first_layer = "0"

    def __init__(
        self, name: str, first: nn.Module, channels: int, segment: int | None = SEGMENT, parts: int = 1
    ) -> None:
        torch.manual_seed(1)
        self.name = name
        self.segment, self.parts = segment, parts
        second = nn.Conv1d(channels, 8, 5, stride=4)
        self.network = nn.Sequential(first, nn.LeakyReLU(0.1), second, nn.Tanh()).eval().requires_grad_(False)

    def front_end(self, waveform: Tensor) -> Tensor:
        return waveform * 10

    def segments(self, query: Tensor) -> Tensor:
        if self.segment is None:
            return query[None]
        query = query.repeat(-(-self.segment * self.parts // len(query)))
        return query[: self.segment * self.parts].reshape(self.parts, self.segment)

    def embed(self, queries: Tensor) -> Tensor:
        frames = self.network(queries.unsqueeze(1))
        return torch.cat([frames.mean(-1), frames.std(-1)], dim=-1)


def raw3() -> Toy:
    torch.manual_seed(0)
    return Toy("toy3", nn.Conv1d(1, 6, 3, stride=3), 6)


def raw10() -> Toy:
    torch.manual_seed(0)
    return Toy("toy10", nn.Conv1d(1, 12, 10, stride=10, bias=False), 12)


def segmented() -> Toy:
    torch.manual_seed(0)
    return Toy("toy-segments", nn.Conv1d(1, 6, 3, stride=3), 6, parts=3)


def whole_utterances() -> Toy:
    """Utterances of any length, each a group of its own."""
    torch.manual_seed(0)
    return Toy("toy-whole", nn.Conv1d(1, 6, 3, stride=3), 6, segment=None)


class Slow(Toy):
    """Takes 2 ms a query, however fast the machine: there is time to stop it."""

    def embed(self, queries: Tensor) -> Tensor:
        time.sleep(0.002 * len(queries))
        return super().embed(queries)


def slow() -> Toy:
    torch.manual_seed(0)
    return Slow("toy-slow", nn.Conv1d(1, 6, 3, stride=3), 6, segment=None)


def overlapping() -> Toy:
    """A first layer whose windows overlap, as HuBERT's: kernel 10, stride 5. It has no block size of its own."""
    torch.manual_seed(0)
    return Toy("toy-overlap", nn.Conv1d(1, 6, 10, stride=5), 6)


def restless() -> Toy:
    """Dropout left in training mode: the same question gets another answer each time."""
    toy = raw3()
    toy.network.append(nn.Dropout(0.5))
    return toy


class Noisy(Toy):
    """Noise that hides from the eval-mode check."""

    def embed(self, queries: Tensor) -> Tensor:
        answer = super().embed(queries)
        return answer + torch.randn_like(answer)


def random_answers() -> Toy:
    torch.manual_seed(0)
    return Noisy("toy-noisy", nn.Conv1d(1, 6, 3, stride=3), 6)


def deaf() -> Toy:
    """Answers that do not pass through the network: no key can change them."""
    toy = raw3()
    toy.embed = lambda queries: torch.ones(len(queries), 16)  # type: ignore[method-assign]
    return toy


class AcrossTheBatch(nn.Module):
    """Looks at the whole batch: keys that are asked together would disturb each other."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames / frames.std()


def batch_normalised() -> Toy:
    toy = raw3()
    toy.network.append(AcrossTheBatch())
    return toy


def with_views() -> Toy:
    """Calls view() on the first layer's answer, which must be contiguous for that."""

    class Viewed(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z.view(len(z), -1).view(z.shape)

    toy = raw3()
    toy.network.insert(1, Viewed())
    return toy


def shapeless() -> Toy:
    """Forgets the batch axis."""
    toy = raw3()
    embed = toy.embed
    toy.embed = lambda queries: embed(queries)[0]  # type: ignore[method-assign]
    return toy


def broken() -> Toy:
    """A user's factory that fails."""
    raise FileNotFoundError("mine.pt")


class SpectrogramToy:
    """Log magnitudes of 20 bins into a first layer of one's choice; every task's function on what comes out."""

    sample_rate = 16_000
    classes = ("one", "two", "three")
    blocks: str | None = None
    block_size: int | None = None

    first_layer = "first"
    two_dimensional = False

    def __init__(self, name: str, first: nn.Module, features: int) -> None:
        torch.manual_seed(2)
        self.name = name
        self.network = nn.ModuleDict({"first": first, "last": nn.Linear(features, 6)}).eval().requires_grad_(False)

    def front_end(self, waveform: Tensor) -> Tensor:
        spectrum = torch.stft(waveform, 64, 160, window=torch.hann_window(64), return_complex=True).abs()
        return torch.log(spectrum[:20] + 1e-3)

    def segments(self, query: Tensor) -> Tensor:
        query = query[:, : query.shape[-1] // 30 * 30] if query.shape[-1] >= 30 else query.repeat(1, 2)[:, :30]
        return query.unflatten(1, (-1, 30)).transpose(0, 1)

    def encode(self, queries: Tensor) -> Tensor:
        first = self.network["first"]
        if isinstance(first, nn.LSTM | nn.GRU):
            frames = first(queries.mT)[0]
        elif isinstance(first, nn.Linear):
            frames = first(queries.mT)
        elif self.two_dimensional:
            frames = first(queries[:, None]).flatten(1, 2).mT
        else:
            frames = first(queries).mT
        return self.network["last"](torch.tanh(frames))

    def embed(self, queries: Tensor) -> Tensor:
        return self.encode(queries).mean(1)

    def classify(self, queries: Tensor) -> Tensor:
        return self.embed(queries)[:, :3]

    def transcribe(self, queries: Tensor) -> list[Hypothesis]:
        """A word for every frame; one that says ONE first never stops."""
        words = ("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX")
        best = self.encode(queries).argmax(-1).tolist()
        return [Hypothesis(" ".join(words[i] for i in row), words[row[0]] == "ONE") for row in best]


def recurrent() -> SpectrogramToy:
    """An LSTM that reads a whole frame a step, as GE2E."""
    torch.manual_seed(0)
    return SpectrogramToy("toy-lstm", nn.LSTM(20, 8, batch_first=True), 8)


def whisper_like() -> SpectrogramToy:
    """Bins are the channels of a Conv1d with kernel 3 and stride 1, as in Whisper."""
    torch.manual_seed(0)
    return SpectrogramToy("toy-whisper", nn.Conv1d(20, 8, 3, padding=1), 8)


class TwoDimensional(SpectrogramToy):
    two_dimensional = True


def subsampled() -> SpectrogramToy:
    """A Conv2d with kernel = stride = 3, as the paper's recogniser; 20 bins are no multiple of 3."""
    torch.manual_seed(0)
    return TwoDimensional("toy-tiles", nn.Conv2d(1, 4, 3, stride=3), 24)


def overlapping_tiles() -> SpectrogramToy:
    """A Conv2d whose windows overlap: kernel 4, stride 2."""
    torch.manual_seed(0)
    return TwoDimensional("toy-overlapping-tiles", nn.Conv2d(1, 4, 4, stride=2, padding=1), 40)


class SpectrogramsAcrossTheBatch(TwoDimensional):
    """Answers depend on how many queries are asked together."""

    def encode(self, queries: Tensor) -> Tensor:
        return super().encode(queries) + 0.1 * len(queries)


def across_the_batch() -> SpectrogramToy:
    torch.manual_seed(0)
    return SpectrogramsAcrossTheBatch("toy-batch", nn.Conv2d(1, 4, 3, stride=3), 24)


class TextsOnly:
    """A recogniser whose numbers nobody can see."""

    name, first_layer = "toy-texts", "first"

    def __init__(self) -> None:
        self.inner = subsampled()
        self.network = self.inner.network
        self.front_end, self.segments = self.inner.front_end, self.inner.segments

    def transcribe(self, queries: Tensor) -> list[Hypothesis]:
        return [Hypothesis(str(row.argmax(-1).tolist())) for row in self.inner.encode(queries)]


def texts_only() -> TextsOnly:
    return TextsOnly()


# models that are not the same twice


def dithered() -> Toy:
    """A front end with dither, as Kaldi's."""
    toy = raw3()
    toy.front_end = lambda waveform: waveform * 10 + 1e-3 * torch.randn_like(waveform)  # type: ignore[method-assign]
    return toy


def randomly_cropped() -> Toy:
    """Segments from a random place, as in training."""
    toy = raw3()
    cut = toy.segments
    toy.segments = lambda query: cut(query.roll(int(torch.randint(1, 1000, ()))))  # type: ignore[method-assign]
    return toy


def of_new_weights() -> Toy:
    """No checkpoint and no seed: other weights whenever it is opened."""
    toy = raw3()
    generator = torch.Generator().manual_seed(int.from_bytes(os.urandom(7)))
    nn.init.normal_(toy.network.get_parameter("2.weight"), generator=generator)
    return toy


class OfEachProcess(Toy):
    """Embeddings that depend on the process, as of a model whose labels come out of a set of strings."""

    def embed(self, queries: Tensor) -> Tensor:
        return super().embed(queries) * (1 + os.getpid() % 1000)


def of_each_process() -> Toy:
    torch.manual_seed(0)
    return OfEachProcess("toy-process", nn.Conv1d(1, 6, 3, stride=3), 6)


CHANGES = {  # what becomes of an embedding once `changed` is set: models that pass every check at the start
    "zeros": torch.zeros_like,
    "noise": lambda answer: answer + 0.01 * torch.randn_like(answer),
    "width": lambda answer: torch.cat([answer, answer], dim=-1),
    "nan": lambda answer: answer / 0.0,
}
changed: str | None = None


class Changing(Toy):
    """Answers otherwise from some moment on."""

    def embed(self, queries: Tensor) -> Tensor:
        answer = super().embed(queries)
        return CHANGES[changed](answer) if changed else answer


def changing() -> Toy:
    torch.manual_seed(0)
    return Changing("toy-changing", nn.Conv1d(1, 6, 3, stride=3), 6)


class FailingLater(Toy):
    """Answers the first questions and raises at a later one, long before the first key."""

    def __init__(self, *arguments, **settings) -> None:
        super().__init__(*arguments, **settings)
        self.asked = 0

    def embed(self, queries: Tensor) -> Tensor:
        self.asked += 1
        if self.asked > 5:
            raise IndexError("no such embedding")
        return super().embed(queries)


def failing_later() -> Toy:
    torch.manual_seed(0)
    return FailingLater("toy-failing-later", nn.Conv1d(1, 6, 3, stride=3), 6)


class Saturated(Toy):
    """The same embedding for everybody but for a trace, which lets every check pass."""

    def embed(self, queries: Tensor) -> Tensor:
        return 1.0 + 1e-3 * super().embed(queries)


def saturated() -> Toy:
    torch.manual_seed(0)
    return Saturated("toy-saturated", nn.Conv1d(1, 6, 3, stride=3), 6)


class Coarse(Toy):
    """Half of its answer is lost below float32, with the correct key and without one alike."""

    def embed(self, queries: Tensor) -> Tensor:
        answer = super().embed(queries)
        if answer.dtype in (torch.bfloat16, torch.float16):
            answer[:, 2:] = 0
        return answer


def coarse() -> Coarse:
    torch.manual_seed(0)
    return Coarse("toy-coarse", nn.Conv1d(1, 6, 3, stride=3), 6)


class AsModule(nn.Module):
    """A user's model that is an nn.Module with the least that is needed."""

    first_layer = "first"

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 6, 3, stride=3)

    def embed(self, queries: Tensor) -> Tensor:
        return torch.relu(self.first(queries.unsqueeze(1))).mean(-1)


def as_module() -> AsModule:
    torch.manual_seed(0)
    return AsModule().eval().requires_grad_(False)


def not_a_model() -> dict[str, int]:
    return {}
