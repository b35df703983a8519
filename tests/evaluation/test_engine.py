"""The relative-key engine against the explicit way: encrypt the audio, encrypt the model, ask one by one."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from tests import toys
from tests.narrow import of_type, present
from wrongkey.errors import BadInput
from wrongkey.evaluation import checks
from wrongkey.evaluation.answers import Gathered
from wrongkey.evaluation.engine import Engine
from wrongkey.evaluation.first_layer import KeyedFirstLayer
from wrongkey.evaluation.models.protocol import Hypothesis, Model
from wrongkey.evaluation.queries import Queries, QueryGroup, group_queries
from wrongkey.keys import SecretKey, correct_key, draw_keys, encrypt_model, encrypt_query
from wrongkey.keys.key_cut import KeyCut

SPEECH = [torch.randn(n, generator=torch.Generator().manual_seed(n)) for n in (4_000, 7_001, 7_001, 5_200, 9_999)]


def queries_of(model: toys.Toy, block_size: int, whole: bool = True):
    return group_queries([model.segments(model.front_end(x)) for x in SPEECH], KeyCut("samples", block_size), whole)


def engine_of(model: toys.Toy, own: np.ndarray, kernels: bool = True, **settings) -> Engine:
    whole = cast(Model, model)  # an engine asks for no more than a toy has
    cut = KeyCut("samples", len(own))
    return Engine.of(whole, "embed", queries_of(model, len(own)), own, cut, kernels=kernels, **settings)


def embeddings(engine: Engine, keys: np.ndarray, model_key: np.ndarray | None = None) -> torch.Tensor:
    return of_type(torch.Tensor, engine.answers(keys, model_key=model_key))


def one_by_one(model: toys.Toy, model_key: np.ndarray, query_key: np.ndarray) -> torch.Tensor:
    """The released code's way, in float64: (utterances, dim)."""
    block = len(model_key)
    network = encrypt_model(model.network, model.first_layer, SecretKey("rom", block, 1, model_key)).double()
    rows = []
    for x in SPEECH:
        pieces = model.segments(model.front_end(x)).double()
        pieces = pieces[:, : pieces.shape[-1] // block * block]
        frames = [network(encrypt_query(piece, query_key, dims=1)[None, None]) for piece in pieces]
        rows.append(torch.stack([torch.cat([f.mean(-1), f.std(-1)], -1)[0] for f in frames]).mean(0))
    return torch.stack(rows)


@pytest.mark.parametrize("make", [toys.raw3, toys.raw10, toys.segmented, toys.whole_utterances, toys.with_views])
@pytest.mark.parametrize("scheme", ["shuffling", "flipping", "rom"])
@pytest.mark.parametrize("kernels", [True, False])
def test_relative_keys_equal_explicit_encryption(make, scheme, kernels):
    model = make()
    block = model.network[0].kernel_size[0]
    own = correct_key(scheme, block, seed=7)
    incorrect = draw_keys(scheme, block, seed=7, start=0, count=3)
    engine = engine_of(model, own, kernels, dtype=torch.float64)
    answers = engine.answers(incorrect)
    for key, answer in zip(incorrect, answers, strict=True):
        torch.testing.assert_close(answer, one_by_one(model, own, key))


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16, 64])
@pytest.mark.parametrize("make", [toys.raw3, toys.segmented, toys.whole_utterances])
@pytest.mark.parametrize("kernels", [True, False])
def test_batches_and_stacked_keys_change_nothing(make, rows, kernels):
    model = make()
    own, incorrect = correct_key("rom", 3, 0), draw_keys("rom", 3, 0, 0, 7)
    engine = engine_of(model, own, kernels, dtype=torch.float64)
    expected = engine.answers(incorrect)
    torch.testing.assert_close(engine.answers(incorrect, rows=rows), expected, rtol=1e-6, atol=1e-7)
    assert engine.batch.rows == 1


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(1, 4, 3, 3), (2, 1, 12)),
        (nn.Conv1d(2, 4, 3, 3, bias=False), (2, 2, 12)),
        (nn.Conv1d(4, 8, 3, 3, groups=2), (3, 4, 12)),
        (nn.Conv2d(1, 5, 2, 2), (2, 1, 6, 8)),
        (nn.Conv2d(2, 4, 2, 2, groups=2), (2, 2, 6, 8)),
    ],
)
@pytest.mark.parametrize("frames_first", [False, True])
def test_keyed_layer_answers_key_by_key(layer, shape, frames_first):
    keyed = KeyedFirstLayer(layer)
    keyed.frames_first = frames_first
    keyed.kernels = torch.randn(3, *layer.weight.shape)
    x = torch.randn(shape)
    expected = []
    with torch.no_grad():
        for kernel in keyed.kernels:
            layer.weight.copy_(kernel)
            expected.append(layer(x))
        torch.testing.assert_close(keyed(x), torch.cat(expected))


@pytest.mark.parametrize("kernels", [True, False])
def test_another_model_key_is_another_model(kernels):
    """Asked with ``model_key``, the engine answers as one made for that key, and keeps its own."""
    model, keys = toys.raw3(), draw_keys("rom", 3, 0, 0, 4)
    own, other = correct_key("rom", 3, 0), correct_key("rom", 3, 1)
    engine, expected = engine_of(model, own, kernels), embeddings(engine_of(model, other, kernels), keys)
    before = embeddings(engine, keys)
    assert torch.equal(embeddings(engine, keys, other), expected)
    assert torch.equal(embeddings(engine, keys), before)


def test_some_queries_are_answered_as_among_all():
    engine = engine_of(toys.raw3(), correct_key("rom", 3, 0))
    keys, chosen = draw_keys("rom", 3, 0, 0, 2), [4, 1]
    few = engine.on(engine.queries.among(chosen))
    torch.testing.assert_close(few.answers(keys), embeddings(engine, keys)[:, chosen])
    assert few.queries.utterances == 2


def test_the_model_given_is_left_alone():
    model = toys.raw3()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    engine = engine_of(model, correct_key("rom", 3, 0))
    engine.answers(draw_keys("rom", 3, 0, 0, 2))
    assert isinstance(model.network[0], nn.Conv1d)
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_memory_that_runs_out_halves_the_batch(monkeypatch):
    model, embed, refused = toys.raw3(), toys.Toy.embed, []
    engine = engine_of(model, correct_key("rom", 3, 0))
    keys = draw_keys("rom", 3, 0, 0, 2)
    expected = engine.answers(keys)

    def embed_small(self, queries):
        if len(queries) > 2:
            refused.append(len(queries))
            raise torch.OutOfMemoryError("no memory")
        return embed(self, queries)

    monkeypatch.setattr(toys.Toy, "embed", embed_small)
    engine.batch.rows = 8
    torch.testing.assert_close(engine.answers(keys), expected)
    assert refused
    assert engine.batch.rows == 2


@pytest.mark.parametrize("kernels", [True, False])
def test_passes_over_longer_segments_have_fewer_rows(kernels, monkeypatch):
    """The rows are measured with many short segments: as many of a long one would take sixty times the memory."""
    model, asked, embed = toys.raw3(), [], toys.Toy.embed
    short = QueryGroup(torch.randn(200, 30), torch.arange(200))
    longer = QueryGroup(torch.randn(3, 60), torch.arange(200, 203))
    long = QueryGroup(torch.randn(1, 30 * 60), torch.tensor([203]))
    queries, own = Queries((short, longer, long)), correct_key("rom", 3, 0)
    engine = Engine.of(cast(Model, model), "embed", queries, own, KeyCut("samples", 3), kernels=kernels)
    keys = draw_keys("rom", 3, 0, 0, 16)
    expected = embeddings(engine, keys)

    def embed_noted(self, queries):
        found = embed(self, queries)
        asked.append((queries.shape[-1], len(found)))
        return found

    monkeypatch.setattr(toys.Toy, "embed", embed_noted)
    engine.batch.rows = 16
    torch.testing.assert_close(engine.answers(keys), expected)
    assert {n: max(rows for length, rows in asked if length == n) for n in (30, 60, 1800)} == {30: 16, 60: 6, 1800: 1}
    alike = engine.on(Queries((short,)))
    assert alike.batch.of(short) == 16


@pytest.mark.parametrize(
    ("rows", "counts", "others"),
    [
        (16, {30: 200, 60: 3, 1800: 3}, {30: 8, 60: 3, 1800: 1}),
        (1, {30: 1, 60: 3, 1800: 3}, {30: 1, 60: 2, 1800: 1}),
        (16, {30: 1, 60: 1, 90: 1, 120: 1}, {30: 2}),
    ],
)
def test_the_check_of_the_batch_size_makes_other_passes_that_fit_the_memory(rows, counts, others, monkeypatch):
    groups, utterances = list[QueryGroup](), 0
    for length, count in counts.items():
        groups.append(QueryGroup(torch.randn(count, length), torch.arange(utterances, utterances + count)))
        utterances += count
    queries, own, embed = Queries(tuple(groups)), correct_key("rom", 3, 0), toys.Toy.embed
    model = cast(Model, toys.raw3())
    engine = Engine.of(model, "embed", queries, own, KeyCut("samples", 3), kernels=True)
    engine.batch.take(rows, 30)
    plain = engine.plain()
    asked: dict[int, int] = {}  # segment length -> most rows of a pass

    def embed_noted(self, queries):
        length = queries.shape[-1]
        asked[length] = max(asked.get(length, 0), len(queries))
        return embed(self, queries)

    monkeypatch.setattr(toys.Toy, "embed", embed_noted)
    largest = max(min(engine.batch.of(group), len(group)) for group in groups)
    found, difference = checks._batch_difference(engine, plain)
    assert found == largest and 0 <= difference < 1e-5
    assert asked == others and engine.batch.rows == rows


def test_memory_that_runs_out_at_every_size_leaves_the_batch_as_it_was(monkeypatch):
    """It may be one key that a network cannot be asked under: the rows of all later ones do not pay for it."""
    engine = engine_of(toys.raw3(), correct_key("rom", 3, 0))
    keys = draw_keys("rom", 3, 0, 0, 2)
    expected = of_type(torch.Tensor, engine.answers(keys, rows=8))

    def embed_nothing(self, queries):
        raise MemoryError("no memory")

    engine.batch.rows = 8
    with monkeypatch.context() as patch:
        patch.setattr(toys.Toy, "embed", embed_nothing)
        with pytest.raises(BadInput, match="Memory of cpu ran out in a pass of one segment: free some"):
            engine.answers(keys)
    assert engine.batch.rows == 8
    assert torch.equal(embeddings(engine, keys), expected)


def test_other_errors_are_not_taken_for_missing_memory():
    model = toys.raw3()

    def broken(queries):
        raise RuntimeError("a bug")

    model.embed = broken  # type: ignore[method-assign]
    engine = engine_of(model, correct_key("rom", 3, 0))
    engine.batch.rows = 8
    with pytest.raises(RuntimeError, match="a bug"):
        engine.answers(draw_keys("rom", 3, 0, 0, 1))
    assert engine.batch.rows == 8


def test_tuning_keeps_a_measured_size():
    model = toys.raw3()
    engine = engine_of(model, correct_key("rom", 3, 0))
    rates = engine.tune(largest=16)
    assert rates[engine.batch.rows] == max(rates.values())
    assert set(rates) <= {1, 2, 4, 8, 16}


def test_rows_that_are_measured_with_other_queries_are_for_segments_of_their_length():
    engine = engine_of(toys.raw3(), correct_key("rom", 3, 0))
    engine.on(Queries((QueryGroup(torch.randn(4, 30), torch.arange(4)),))).tune(largest=1)
    assert engine.batch.elements == 30


def test_the_fast_layout_is_taken_only_where_the_model_bears_it():
    assert present(engine_of(toys.raw3(), np.eye(3)).layer).frames_first
    assert not present(engine_of(toys.with_views(), np.eye(3)).layer).frames_first


def test_groups_are_cut_at_the_last_whole_block_on_both_axes():
    (group,) = group_queries([torch.ones(2, 7, 11), torch.ones(2, 6, 10)], KeyCut("tiles", 2), whole=True).groups
    assert group.segments.shape == (4, 6, 10)
    assert group.utterance.tolist() == [0, 1]
    assert group.pieces == 2


@pytest.mark.parametrize(("blocks", "shape"), [("samples", (2, 12)), ("tiles", (2, 7, 12)), ("frames", (2, 7, 11))])
def test_a_layer_that_reads_the_tail_gets_whole_blocks_in_time(blocks, shape):
    pieces = torch.ones(2, *((11,) if blocks == "samples" else (7, 11)))
    (group,) = group_queries([pieces], KeyCut(blocks, 2), whole=False).groups
    assert group.segments.shape == shape
    assert group.segments.sum() == pieces.sum()


def test_texts_are_joined_by_utterance_and_key():
    """An utterance of two pieces, another of one; the text says which key and piece it was made from."""
    groups = [
        QueryGroup(torch.tensor([[1.0], [2.0]]), torch.tensor([1])),
        QueryGroup(torch.tensor([[3.0]]), torch.tensor([0])),
    ]
    gathered = Gathered(2, 2, torch.float32)
    for group in groups:
        passes = [
            (slice(k, k + 1), slice(s, s + 1), [Hypothesis(f"{k}{group.segments[s, 0]:.0f}", k == s == 1)])
            for k in range(2)
            for s in range(len(group))
        ]
        gathered.add(group, passes)
    heard = gathered.answers()
    assert [[h.text for h in key] for key in heard] == [["03", "01 02"], ["13", "11 12"]]
    assert [[h.runaway for h in key] for key in heard] == [[False, False], [False, True]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("make", [toys.raw3, toys.segmented, toys.whole_utterances])
def test_a_gpu_gives_the_same_answers_every_time(make):
    model, keys = make(), draw_keys("rom", 3, 0, 0, 7)
    expected = engine_of(model, correct_key("rom", 3, 0)).answers(keys)
    engine = engine_of(model, correct_key("rom", 3, 0), device=torch.device("cuda"))
    engine.tune(largest=64)
    answers = embeddings(engine, keys)
    torch.testing.assert_close(answers.cpu(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(embeddings(engine, keys), answers)
