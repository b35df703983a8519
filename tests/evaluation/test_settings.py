"""Settings are written once: at the fields of the dataclasses, where flags and checks find them."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

import pytest

from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.errors import BadInput
from wrongkey.evaluation.config import PRECISIONS, SweepConfig
from wrongkey.evaluation.hardware import PRECISIONS as KNOWN
from wrongkey.evaluation.run_folder.schema import Batch, Config
from wrongkey.evaluation.settings import Flag, Group, check, options_of


@dataclass(frozen=True)
class Soup:
    salt: Annotated[int, Flag("grains", least=1), Group("taste")]
    kind: Annotated[str | None, Flag("what is in it", choices=("leek", "pea"))] = None
    spoons: Annotated[tuple[float, ...], Flag("sizes")] = ()
    hot_enough: Annotated[bool, Flag("steams")] = False
    guests: Annotated[int, Flag("who eat")] = 0


def test_an_option_is_read_from_its_field():
    options = options_of(Soup)
    assert [(o.spelling, o.kind, o.default) for o in options.values()] == [
        ("--salt", int, None), ("--kind", str, None), ("--spoons", tuple, ()), ("--hot-enough", bool, False),
        ("--guests", int, 0),
    ]  # fmt: skip
    assert options["salt"].group == Group("taste") and options["kind"].group is None
    assert [o.help for o in options.values()] == ["grains", "what is in it", "sizes", "steams", "who eat (default 0)"]


@pytest.mark.parametrize(
    ("soup", "said"),
    [
        (Soup(0), "--salt must be at least 1, not 0."),
        (Soup(2**53), "--salt must be at most 9,007,199,254,740,991, not 9007199254740992."),
        (Soup(1, kind="hair"), "--kind hair is unknown: choose leek, pea."),
    ],
)
def test_what_no_setting_can_be_is_refused(soup, said):
    with pytest.raises(BadInput, match=said):
        check(soup)


@pytest.mark.parametrize("name", [name for name, one in options_of(SweepConfig).items() if one.kind is int])
def test_every_number_that_a_flag_allows_can_be_read_again_from_a_manifest(name):
    """A sweep with more --rows than its own manifest allows ended with a run that nothing could read."""
    most = options_of(SweepConfig)[name].flag.most
    if name == "rows":
        Batch.model_validate({"rows": most})
    else:
        assert getattr(Config.model_validate({name: most}), name) == most
    too_many: dict[str, Any] = {name: most + 1}
    with pytest.raises(BadInput, match=f"must be at most {most:,}, not {most + 1}"):
        SweepConfig("asv-raw3", "bundled", **too_many)


def test_values_within_the_limits_pass():
    check(Soup(1, kind="leek"))


def test_a_field_without_a_flag_is_found():
    @dataclass
    class Bare:
        salt: int = 1

    with pytest.raises(TypeError, match=r"Bare\.salt has no Flag"):
        options_of(Bare)


@pytest.mark.parametrize("config", [SweepConfig, AttackConfig])
def test_every_setting_is_a_flag_and_is_documented(config):
    assert list(options_of(config)) == [field.name for field in fields(config)]
    described = config.__doc__.split("Parameters\n")[1]
    for name in options_of(config):
        assert f"\n    {name} :" in described or f"{name}," in described or f", {name}\n" in described, name


def test_the_precisions_are_those_that_networks_run_in():
    assert set(PRECISIONS) == set(KNOWN)
