"""Whether a model's front end leaves waveforms as they are: an attack on plain waveforms counts only for such a model.

The model is asked, on a probe of its own sample rate: its name says nothing about what it computes before encryption.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from wrongkey.evaluation.models.protocol import Model

WAVEFORM, OWN = "waveform", "own"


def front_end_of(model: Model) -> str | None:
    """What a model's front end makes of a waveform.

    Parameters
    ----------
    model : Model
        Only its front end is asked.

    Returns
    -------
    str or None
        ``waveform`` where every sample stays as it is, ``own`` where anything changes, and None where the front end
        fails on the probe, so that nothing is known.
    """
    waveform = probe_waveform(model.sample_rate)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):  # a dithering front end draws from it
            query = model.front_end(waveform.clone())
    except Exception:  # a user's front end may fail in any way, and the speech in use will say so
        return None
    return WAVEFORM if isinstance(query, Tensor) and torch.equal(query, waveform) else OWN


def probe_waveform(rate: int) -> Tensor:
    """One second `(rate,)` float32 that each usual step changes.

    Noise in a level that rises (normalisation, compression), with an offset (removal of the mean), full bandwidth
    (pre-emphasis, filters) and a silent quarter at each end (trimming).
    """
    rng, quarter = np.random.default_rng(0), rate // 4
    loud = rng.normal(0, 0.05, rate - 2 * quarter) * np.linspace(0.2, 1, rate - 2 * quarter) + 0.01
    silence = np.zeros(quarter)
    return torch.from_numpy(np.concatenate([silence, loud, silence])).float()
