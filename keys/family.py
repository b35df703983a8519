"""Opens a scheme by its name: a base of `wrongkey.keys.spec.BASES` or of a user's, with options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wrongkey.errors import BadInput
from wrongkey.keys.derived import derived_scheme
from wrongkey.keys.invertible import MOST_CONDITION, invertible
from wrongkey.keys.preparations import PREPARATIONS, steps_of
from wrongkey.keys.schemes import SCHEMES, Scheme
from wrongkey.keys.spec import BASES, Spec, parse, real_number, whole_number
from wrongkey.keys.structure import in_order, in_turn, lying_along, signed_shuffling, with_signs
from wrongkey.plugins import Registry

MOST_BLOCKS = 4_096  # of a super-block
OF_ONE_MATRIX = ("turns", "signs", "order", "along", "condition")  # options that say how a matrix is composed

REGISTRY = Registry(
    kind="scheme",
    group="wrongkey.schemes",
    builtin={name: {**SCHEMES, "signed-shuffling": signed_shuffling, "invertible": invertible}[name] for name in BASES},
    is_one=lambda found: isinstance(found, Scheme),
    wanted="give a wrongkey.keys.Scheme, or a function without arguments that returns one",
)


def get_scheme(name: str | Scheme) -> Scheme:
    """Return the scheme of this name.

    Parameters
    ----------
    name : str or Scheme
        A name of the family (``rom``, ``rom+turns=4``: `wrongkey.keys.spec`), one that an installed package registers
        in the entry-point group ``wrongkey.schemes``, or ``package.module:name`` of a `Scheme` or of a function without
        arguments that returns one; options may follow any of them. A `Scheme` is passed through.

    Returns
    -------
    Scheme
        Its name is that of the base, and the options as they were given.

    Raises
    ------
    BadInput
        For an unknown name or option, and for a scheme of a user's that is not called what it is registered as, or is
        called what a built-in one is: keys are drawn by that name.

    Examples
    --------
    >>> get_scheme("flipping").space(10), get_scheme("flipping+turns=2").space(10)
    (1024, 1024)
    >>> get_scheme("rom+turns=4").span
    4
    """
    if isinstance(name, Scheme):
        return name
    spec = parse(name)
    scheme = _base(spec.base)
    for option, value in spec.options:
        if scheme.derived is not None and option in OF_ONE_MATRIX:
            raise BadInput(
                f"The scheme {name!r} composes keys that are seeds: write {option} before schedule and nonce."
            )
        scheme = OPENED[option](str(Spec(scheme.name, ((option, value),))), scheme, value)
    return scheme


def known_scheme(name: str) -> Scheme | None:
    """The scheme of a name of the family; None for any other, which is not looked up: it may come from a stranger."""
    try:
        return get_scheme(name) if parse(name).base in BASES else None
    except BadInput:
        return None


def _base(name: str) -> Scheme:
    scheme: Scheme = REGISTRY.open(name)
    if "+" in scheme.name:
        raise BadInput(f"Scheme {name!r} has the name {scheme.name!r}, and a plus sign begins an option: rename it.")
    if scheme.name != name and (":" not in name or scheme.name in BASES):
        raise BadInput(
            f"Scheme {name!r} is a Scheme with the name {scheme.name!r}: give it the name that it is registered as, "
            "or one of its own where it is named as package.module:name."
        )
    return scheme


def _taken_together(compose: Callable[[str, Scheme, int], Scheme], option: str) -> Callable[[str, Scheme, str], Scheme]:
    def opened(name: str, base: Scheme, value: str) -> Scheme:
        return compose(name, base, whole_number(option, value, 2, MOST_BLOCKS // base.span))

    return opened


def _condition(name: str, base: Scheme, value: str) -> Scheme:
    if base.name != "invertible":
        raise BadInput(f"The scheme {name!r} has a condition number only where its base is invertible: leave it out.")
    return invertible(name, real_number("condition", value, 1 + 1e-9, MOST_CONDITION))


def _schedule(name: str, base: Scheme, value: str) -> Scheme:
    scheme = derived_scheme(base, hold=value)
    real_number("schedule", value, 1e-6, 1e9)  # one way to write it
    return scheme


def _nonce(name: str, base: Scheme, value: str) -> Scheme:
    return derived_scheme(base, nonce=True)


def _along(name: str, base: Scheme, value: str) -> Scheme:
    if value not in ("time", "bins"):
        raise BadInput(f"The option along={value} of a scheme is either along=time or along=bins.")
    return lying_along(name, base, "bins" if value == "bins" else "time")


def _windows(name: str, base: Scheme, value: str) -> Scheme:
    return replace(base, name=name)  # the keys stay as they are: other blocks are encrypted


def _preparation(option: str) -> Callable[[str, Scheme, str], Scheme]:
    def opened(name: str, base: Scheme, value: str) -> Scheme:
        steps_of([(option, value)])  # refused where it cannot be
        return replace(base, name=name)  # the keys stay as they are: other speech is encrypted

    return opened


OPENED: Mapping[str, Callable[[str, Scheme, str], Scheme]] = {
    "turns": _taken_together(in_turn, "turns"),
    "signs": _taken_together(with_signs, "signs"),
    "order": _taken_together(in_order, "order"),
    "condition": _condition,
    "along": _along,
    "windows": _windows,
    **{option: _preparation(option) for option in PREPARATIONS},
    "schedule": _schedule,
    "nonce": _nonce,
}
