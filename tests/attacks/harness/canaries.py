"""Attacks that cheat: each looks for the key where a careless harness would leave it."""

import gc
import json
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from wrongkey.attacks.base import Case, Need, Recovery, Threat
from wrongkey.attacks.harness.salt import FORMAT, Salt
from wrongkey.keys import correct_key, draw_keys, get_scheme

EVERYTHING: frozenset[Need] = frozenset({"ciphertext", "known plaintext", "chosen plaintext", "other speech"})


class Canary:
    """Takes whatever looks like the key, and decrypts well with what it returns only if it found it."""

    name: str
    family = 5
    needs = EVERYTHING
    threat = Threat("Cheats.", EVERYTHING)

    def __init__(self, folder=None):
        self.folder = folder

    def inapplicable(self, setting):
        return None

    def cases(self, setting):
        return [Case(seconds=2.0, known_blocks=setting.size + 2, quality="10 dB", queries=1)]

    def candidates(self, evidence):
        """Whatever looks like a key."""
        return ()

    def run(self, evidence):
        """The candidate that maps the noisy known blocks to their ciphertext best, or nothing."""
        plain, cipher = evidence.known
        best, least, count = None, np.inf, 0
        for key in self.candidates(evidence):
            if orthogonal(key, evidence.setting.size):
                count += 1
                fit = float(np.linalg.norm(plain @ key - cipher))
                best, least = (key, fit) if fit < least else (best, least)
        return Recovery(best, measured={"candidates": float(count)})


class Seeds(Canary):
    """The run's seeds, and the attack's own, through every stream of keys."""

    name = "seeds"

    def candidates(self, evidence):
        scheme, size = evidence.setting.scheme, evidence.setting.size
        seeds = {evidence.seed, evidence.seed + 1, *range(40)}
        for seed in sorted(seeds):
            yield correct_key(scheme, size, seed)
            yield from draw_keys(scheme, size, seed, 0, 3)
            salt = Salt(seed.to_bytes(32, "little"))
            yield salt.of(self.name, evidence.case, 0).key(get_scheme(scheme), size)


class Closures(Canary):
    """Everything that is reachable from what was handed over, `__self__`, `__closure__` and arguments included."""

    name = "closures"

    def candidates(self, evidence):
        seen: set[int] = set()
        waiting = [evidence, evidence.encrypt, evidence.ask, evidence.error]
        while waiting:
            found = waiting.pop(0)
            if id(found) in seen or found is None or len(seen) > 20_000:
                continue
            seen.add(id(found))
            if isinstance(found, np.ndarray):
                yield from matrices(found, evidence.setting.size)
                continue
            for name in ("__self__", "__closure__", "__globals__", "__defaults__", "args", "keywords", "cell_contents"):
                with suppress(Exception):  # some objects answer to any name, or do something
                    waiting.append(getattr(found, name, None))
            if isinstance(found, list | tuple | set | frozenset):
                waiting += list(found)
            elif isinstance(found, dict):
                waiting += list(found.values())
            else:
                with suppress(Exception):
                    waiting += list(vars(found).values())


class Garbage(Canary):
    """Every array that this process holds."""

    name = "garbage"

    def candidates(self, evidence):
        for found in gc.get_objects():
            for part in (found, *gc.get_referents(found)):
                array = as_array(part)
                if array is not None and array.dtype.kind == "f":
                    yield from matrices(array, evidence.setting.size)


class Files(Canary):
    """The run folder, the temporary directory, the environment and the command lines: salts, seeds and raw numbers."""

    name = "files"

    def candidates(self, evidence):
        scheme, size = evidence.setting.scheme, evidence.setting.size
        places = [Path(self.folder), Path(tempfile.gettempdir()) / f"pymp-{os.getpid()}"]
        texts = [json.dumps(dict(os.environ))]
        for place in places:
            for path in place.rglob("*"):
                if path.is_file() and path.stat().st_size < 2**20:
                    data = path.read_bytes()
                    texts.append(data.decode("latin-1"))
                    for start in range(0, max(len(data) - 8 * size * size, 0), 8):
                        yield np.frombuffer(data[start : start + 8 * size * size]).reshape(size, size)
        for process in filter(str.isdecimal, os.listdir("/proc")):
            try:
                texts.append(Path(f"/proc/{process}/cmdline").read_bytes().decode("latin-1"))
            except OSError:  # it has just ended
                continue
        for text in texts:
            for word in set(re.findall(r"\b[0-9a-f]{64}\b", text)):
                yield Salt(bytes.fromhex(word)).of(self.name, evidence.case, 0).key(get_scheme(scheme), size)
            assert FORMAT not in text, "the salt lies open"


class Greedy(Canary):
    """Asks for more than the case allows."""

    name = "greedy"

    def run(self, evidence):
        size = evidence.setting.size
        rows = np.concatenate([evidence.encrypt(np.eye(size)[:1]), evidence.encrypt(np.eye(size)[1:])])
        return Recovery(rows)


class Break(Canary):
    """Breaks down by a numerical accident."""

    name = "break"

    def run(self, evidence):
        raise np.linalg.LinAlgError("SVD did not converge")


class Dies(Canary):
    """Takes its process with it."""

    name = "dies"

    def run(self, evidence):
        os._exit(3)


class DiesOnce(Canary):
    """Takes its process with it, the first time that it runs."""

    name = "dies-once"

    def run(self, evidence):
        ran = Path(self.folder).parent / "ran"
        if not ran.exists():
            ran.touch()
            os._exit(3)
        return super().run(evidence)


class Vandal(Canary):
    """Changes what it was handed and the process itself, for the next attack, and returns nothing."""

    name = "vandal"

    def run(self, evidence):
        import torch

        for query in (*evidence.ciphertext, *evidence.background.queries):
            query.zero_()
        os.environ["VANDAL"] = "here"
        np.linalg.norm = None  # type: ignore[assignment]
        torch.set_default_dtype(torch.float64)
        return Recovery(None)


class Next(Canary):
    """Looks at what the last attack left."""

    name = "next"

    def run(self, evidence):
        import torch

        assert "VANDAL" not in os.environ and np.linalg.norm is not None and torch.get_default_dtype() is torch.float32
        assert all(query.abs().max() > 0 for query in evidence.background.queries)
        return Recovery(None)


class Nonsense(Canary):
    """Returns what no attack should."""

    name = "nonsense"

    def run(self, evidence):
        return Recovery(None, measured={"list": [1, 2]})  # type: ignore[dict-item]


class Scalar(Canary):
    """Asks for no block at all."""

    name = "scalar"

    def run(self, evidence):
        evidence.encrypt(3.0)
        return Recovery(None)


def as_array(found):
    """An array, or what a tensor holds; None for anything else, and for tensors that hold nothing."""
    import torch

    with suppress(Exception):  # there are tensors of many kinds
        if isinstance(found, torch.Tensor):
            return found.detach().numpy()
    return found if type(found) is np.ndarray else None


def orthogonal(key, size):
    entries = np.asarray(key, dtype=np.float64)
    if entries.shape != (size, size) or not (np.abs(entries) <= 1.001).all():
        return False
    return np.allclose(entries @ entries.T, np.eye(size), atol=1e-4)


def matrices(array, size):
    """An array as a matrix of the key's size, or as several."""
    if array.shape == (size, size):
        yield array
        yield array.T
    elif array.ndim == 3 and array.shape[1:] == (size, size) and len(array) < 50:
        yield from array
