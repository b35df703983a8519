"""Measure the figures on the card of a bundled speaker model: error rates beside the teacher's, and speed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from training.timing import least_milliseconds
from wrongkey.evaluation.corpora import Corpus, load_audio, open_corpus
from wrongkey.evaluation.hardware import keep_freed_memory
from wrongkey.evaluation.metrics.error_rates import eer
from wrongkey.evaluation.models.adapters.ge2e_network import load_ge2e_teacher
from wrongkey.evaluation.models.bundled.asv_raw import SEGMENT, AsvRaw
from wrongkey.evaluation.models.protocol import SpeakerModel
from wrongkey.evaluation.tasks.trials import Trials, generate_trials

TRIAL_SEED = 0
BATCHES = (1, 2, 4)  # of segments

Waveform = npt.NDArray[np.float32]


def card_figures(model: AsvRaw, speechocean: Path, teacher_weights: Path | None = None) -> dict[str, object]:
    """Return all figures of a card that a program can measure.

    EERs are those of speechocean762's test speakers: every same-speaker pair of their utterances, and the same number
    of same-gender different-speaker pairs, drawn with seed 0. The teacher (GE2E) hears whole utterances.
    """
    corpus = open_corpus(speechocean / "test")
    trials = generate_trials(corpus, seed=TRIAL_SEED, same_gender=True)
    waveforms = [load_audio(utterance) for utterance in trials.utterances(corpus)]
    teacher = load_ge2e_teacher(teacher_weights)
    return {
        "speakers": len(corpus.speakers),
        "utterances": len(waveforms),
        "target_trials": trials.targets,
        "nontarget_trials": trials.nontargets,
        "trial_seed": TRIAL_SEED,
        "trials_sha256": trials.digest(),
        "corpus_sha256": corpus.digest(),
        "eer_percent": trial_eer(waveforms, trials, lambda waveform: embed_utterance(model, waveform)),
        "teacher_eer_percent": trial_eer(
            waveforms, trials, lambda waveform: teacher.embed_utterances([torch.from_numpy(waveform)])[0]
        ),
        "milliseconds_per_segment": {str(batch): milliseconds(model, batch) for batch in BATCHES},
    }


def trial_eer(waveforms: list[Waveform], trials: Trials, embed: Callable[[Waveform], torch.Tensor]) -> float:
    """Return the equal error rate in percent of cosines between embeddings."""
    vectors = torch.nn.functional.normalize(torch.stack([embed(waveform) for waveform in waveforms]), dim=1)
    scores = (vectors[trials.enrolment] * vectors[trials.test]).sum(dim=1)
    return float(eer(scores, torch.from_numpy(trials.target)))


def embed_utterance(model: SpeakerModel, waveform: Waveform) -> torch.Tensor:
    """Return the mean of the segments' embeddings, `(dim,)`."""
    with torch.inference_mode():
        return model.embed(model.segments(model.front_end(torch.from_numpy(waveform)))).mean(dim=0)


def milliseconds(model: SpeakerModel, batch: int, repeats: int = 2000) -> float:
    """Return the least wall time in ms per segment of 2.025 s on one thread.

    A large array is allocated and freed first: glibc then keeps the memory of activations instead of returning it
    to the system after every layer, which costs small networks up to half their speed.
    """
    keep_freed_memory()
    queries = torch.randn(batch, SEGMENT, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    least = least_milliseconds(model.embed, queries, repeats)
    torch.set_num_threads(threads)
    return least / batch


def held_out_eer(model: SpeakerModel, corpus: Corpus, speakers: list[str]) -> float:
    """Return the EER on some speakers of a training corpus (all same-speaker pairs, as many same-gender pairs)."""
    chosen = corpus.select(speakers=speakers)
    trials = generate_trials(chosen, seed=TRIAL_SEED, same_gender=True)
    waveforms = [load_audio(utterance) for utterance in trials.utterances(chosen)]
    return trial_eer(waveforms, trials, lambda waveform: embed_utterance(model, waveform))
