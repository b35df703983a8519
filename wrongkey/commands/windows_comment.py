"""The comment of a WAV file of encrypted windows: where they lie in the speech that it is decrypted to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wrongkey.errors import BadInput
from wrongkey.printable import printable

if TYPE_CHECKING:
    from wrongkey.keys.windows import Windows

NUMBERS = ("samples", "kernel", "stride", "dilation", "before", "after", "segment")
COMMENT = re.compile(r"wrongkey windows " + " ".join(rf"{name}=(?P<{name}>\d{{1,9}})" for name in NUMBERS))
MOST = 8  # samples of speech and padding for each sample of their windows, which hold most samples once or more
FEW = 2**19  # samples of speech and padding of a file of any size: a few samples that are far apart span many


def comment_of(windows: Windows, segments: int, segment: int) -> str:
    """What the comment says of the windows of so many segments of so many samples each."""
    values = (
        segments * segment, windows.kernel, windows.stride, windows.dilation, windows.before, windows.after, segment
    )  # fmt: skip
    return "wrongkey windows " + " ".join(f"{name}={value}" for name, value in zip(NUMBERS, values, strict=True))


def segments_of(file: Path, found: re.Match[str], sent: Any) -> tuple[Windows, int, Any]:
    """The windows of a file whose comment is `found`, samples of a segment, and what was sent of each `(segments, n)`.

    Raises BadInput where the comment, which may be anybody's, does not fit the windows.
    """
    from wrongkey.keys.windows import Windows

    samples, kernel, stride, dilation, before, after, segment = map(int, found.groups())
    windows = Windows(kernel, stride, dilation, before, after)
    count = windows.count(segment) if 0 < stride <= kernel and min(dilation, segment) > 0 else 0
    segments = samples // max(segment, 1)
    held, joined = segments * count * kernel, segments * (before + segment + after)
    if not 0 < held <= len(sent) or samples % segment or joined > max(FEW, MOST * len(sent)):
        raise BadInput(
            f"{printable(file)}: its comment tells of other windows than its {len(sent)} samples hold: encrypt "
            "the speech again with 'wrongkey encrypt --model'."
        )
    return windows, segment, sent[:held].reshape(segments, -1)


def speech_of(file: Path, found: re.Match[str], decrypted: Any) -> Any:
    """The speech `(samples,)` of the decrypted windows of a file whose comment is `found`; BadInput as above."""
    import torch

    windows, segment, rows = segments_of(file, found, decrypted)
    return windows.join(torch.from_numpy(rows), segment).flatten().numpy()
