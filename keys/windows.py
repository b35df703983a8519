"""Overlapping windows: a first layer's own windows, one after another as a waveform, and the layer that reads them.

A Conv1d with kernel k and stride s reads the windows w_t = (x_{ts}, ..., x_{ts + k - 1}) of its input and multiplies
each with its kernels. Sent one after another, the windows are a waveform of blocks of k samples, k / s times as long,
which the same kernels read with a stride of k. That is a rewrite of query and layer before any key; a key of k x k
then encrypts every window as a block, and the layer absorbs it without lifting (docs/windows.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wrongkey.errors import BadInput
from wrongkey.keys.compatibility import why_not_keyed
from wrongkey.keys.lifted import axes_of


@dataclass(frozen=True)
class Windows:
    """Which samples the windows of a Conv1d hold: `kernel` samples, `dilation` apart, from every `stride`-th on.

    `before` and `after` are the zeros of the layer's padding; they are in the windows that read them.

    Examples
    --------
    >>> Windows(4, 2).cut(torch.arange(6.0))
    tensor([0., 1., 2., 3., 2., 3., 4., 5.])
    """

    kernel: int
    stride: int
    dilation: int = 1
    before: int = 0
    after: int = 0

    @classmethod
    def of(cls, layer: nn.Module) -> Windows:
        """The windows that a layer reads; raises BadInput, with the reason, where they cannot be sent instead."""
        if not isinstance(layer, nn.Conv1d):
            raise BadInput(
                f"Windows are for a Conv1d that reads samples, and this layer is of class {type(layer).__name__}."
            )
        if reason := why_not_keyed(layer):
            raise BadInput(f"This layer cannot take a key exactly, because {reason}.")
        (axis,) = axes_of(layer, layer.kernel_size)
        if layer.padding_mode != "zeros" and (axis.before or axis.after):
            raise BadInput(f"Windows are padded with zeros, and this Conv1d pads its input by {layer.padding_mode}.")
        if axis.kernel < axis.stride:
            raise BadInput(
                f"Windows shorter than the stride would skip samples: this Conv1d reads {axis.kernel} of every "
                f"{axis.stride}."
            )
        return cls(axis.kernel, axis.stride, axis.dilation, axis.before, axis.after)

    def __str__(self) -> str:
        apart = f", {self.dilation} apart," if self.dilation > 1 else ""
        return f"windows of {self.kernel} samples{apart} every {self.stride}"

    @property
    def factor(self) -> float:
        """Samples in all windows for each sample of speech, k / s."""
        return self.kernel / self.stride

    @property
    def span(self) -> int:
        """Samples from the first of a window to its last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    def count(self, samples: int) -> int:
        """Number of windows in so many samples."""
        return max(0, (self.before + samples + self.after - self.span) // self.stride + 1)

    def cut(self, speech: Tensor) -> Tensor:
        """The windows of speech `(..., samples)`, one after another: `(..., count * kernel)`.

        Raises BadInput for speech shorter than a window.
        """
        if self.count(speech.shape[-1]) == 0:
            raise BadInput(
                f"Speech of {speech.shape[-1]} samples is shorter than a window of {self.span}: leave it out."
            )
        padded = F.pad(speech, (self.before, self.after))
        return padded.unfold(-1, self.span, self.stride)[..., :: self.dilation].flatten(-2)

    def join(self, windows: Tensor, samples: int | None = None) -> Tensor:
        """Speech `(..., samples)` of its windows, the mean wherever they overlap; zeros where none reads.

        Without `samples`, the speech ends where the last window does.
        """
        rows = windows.reshape(*windows.shape[:-1], -1, self.kernel)
        first = torch.arange(rows.shape[-2], device=windows.device) * self.stride
        places = (first[:, None] + self.dilation * torch.arange(self.kernel, device=windows.device)).flatten()
        padded = int(first[-1]) + self.span
        sums = windows.new_zeros(*windows.shape[:-1], padded).index_add_(-1, places, windows)
        mean = sums / places.bincount(minlength=padded).clamp(min=1)
        samples = max(0, padded - self.before - self.after) if samples is None else samples
        speech = mean[..., self.before : self.before + samples]
        return F.pad(speech, (0, samples - speech.shape[-1]))


def windowed_query(speech: Tensor, layer: nn.Module) -> Tensor:
    """The windows that a layer reads of speech, one after another as a waveform.

    Parameters
    ----------
    speech
        `(..., samples)`.
    layer
        A Conv1d with any kernel, stride up to the kernel, dilation, and padding by zeros.

    Returns
    -------
    Tensor
        `(..., count * kernel)`, with the zeros of the layer's padding in the windows at both ends.

    Raises
    ------
    BadInput
        For another layer, and for speech shorter than a window.

    Examples
    --------
    >>> windowed_query(torch.arange(6.0), nn.Conv1d(1, 1, 4, stride=2))
    tensor([0., 1., 2., 3., 2., 3., 4., 5.])
    """
    return Windows.of(layer).cut(speech)


def windowed_layer(layer: nn.Module) -> nn.Conv1d:
    """The layer that answers to windows as `layer` does to speech: its weights, with a stride of a whole window.

    Parameters
    ----------
    layer
        A Conv1d as for `windowed_query`; it is not changed.

    Returns
    -------
    nn.Conv1d
        Kernel = stride = block, so that keys of blocks of `kernel` samples need no lifting.

    Raises
    ------
    BadInput
        For another layer.

    Examples
    --------
    >>> windowed_layer(nn.Conv1d(1, 6, 10, stride=5, padding=2))
    Conv1d(1, 6, kernel_size=(10,), stride=(10,))
    """
    kernel = Windows.of(layer).kernel
    assert isinstance(layer, nn.Conv1d)
    channels, bias = (layer.in_channels, layer.out_channels), layer.bias
    # On the meta device no weights are drawn, and the state of the random generator stays as it is.
    read = nn.Conv1d(*channels, kernel, kernel, groups=layer.groups, bias=bias is not None, device="meta")
    read.weight = _own(layer.weight)
    if bias is not None:
        read.bias = _own(bias)
    return read.train(layer.training)


def _own(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
