"""How the runs of a report were made: the line under its headline, and the facts of each run."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from wrongkey.keys.blocks import Blocks
from wrongkey.reports.commands import attack_command, strength_command, sweep_command
from wrongkey.reports.content.gather import Gathered
from wrongkey.reports.content.schema import RunFacts
from wrongkey.reports.metrics import METRICS
from wrongkey.reports.runs import Run
from wrongkey.reports.strength.runs import StrengthRun

SHORT_HASH = 12  # characters of a commit


def made(found: Gathered) -> str:
    """The UTC date on which the last of the runs ended; "" where none says so."""
    abouts = [run.manifest for run in found.runs] + [run.manifest for run in found.strengths]
    ends = [about.get("ended") for about in (*abouts, *(run.suite for run in found.attacks))]
    dates = [date for end in ends if (date := _utc_date(end))]
    return max(dates, default="")


def facts_line(found: Gathered) -> list[str]:
    """How much was run, on what, and whether it passed its own checks."""
    runs, keys = found.runs, sum(run.keys_done for run in found.runs)
    attacks = {name for run in found.attacks for name in run.rows["attack"].unique() if name not in run.null_names}
    facts = []
    if runs:
        facts.append(f"{_count(len(runs), 'sweep')} of {_count(keys, 'key')}")
    if attacks:
        facts.append(f"{_count(len(attacks), 'attack')} ({_count(len(found.attacks), 'run')})")
    if found.analyses:
        facts.append(_count(len(found.analyses), "analysis", "analyses"))
    if found.strengths:
        scored = sum(run.found.evaluations for run in found.strengths)
        facts.append(f"{_count(len(found.strengths), 'measured strength')} of {_count(scored, 'key')} scored")
    facts += list(dict.fromkeys(_corpus(run) for run in runs))
    facts += _trust(found)
    facts += _places(found)
    return facts


def run_facts(found: Gathered) -> list[RunFacts]:
    """Every run folder: facts, command, manifest."""
    sweeps = [
        RunFacts(
            name=found.names[run],
            label=label,
            kind="sweep",
            facts=[[name, text] for name, text in _facts(run).items()],
            command=sweep_command(run, found.attacks),
            manifest=run.manifest,
        )
        for run, label in zip(found.runs, found.labels, strict=True)
    ]
    attacks = [
        RunFacts(
            name=run.folder.resolve().name,
            label=f"attacks on {run.label}",
            kind="attacks",
            facts=[["made", " to ".join(filter(None, (_started(run.suite), str(run.suite.get("ended") or ""))))]],
            command=attack_command(run),
            manifest=run.suite,
        )
        for run in found.attacks
    ]
    analyses = [
        RunFacts(
            name=one.folder.resolve().name,
            label=f"{one.name}: {one.label}",
            kind="analysis",
            facts=[],
            command=str(one.about.get("command") or ""),
            manifest={},
        )
        for one in found.analyses
    ]
    return [*sweeps, *attacks, *analyses, *map(_strength_facts, found.strengths)]


def _strength_facts(run: StrengthRun) -> RunFacts:
    found = run.found
    asked = {name: value for name, value in found.settings.model_dump().items() if value not in (None, [])}
    seconds = "" if found.cpu_seconds is None else f"{found.cpu_seconds:,.0f} CPU seconds"
    facts = {
        "folder": run.name,
        "asked": ", ".join(f"{name} {_plainly(value)}" for name, value in asked.items()),
        "made": _made({**run.manifest, "seconds": None}),
        "took": ", ".join(filter(None, (f"{_count(found.evaluations, 'key')} scored", seconds))),
    }
    return RunFacts(
        name=run.name,
        label=f"strength of {run.label}",
        kind="strength",
        facts=[[name, text] for name, text in facts.items() if text],
        command=strength_command(run),
        manifest=found.model_dump(mode="json"),
    )


def _plainly(value: Any) -> str:
    return " and ".join(f"{one:g}" for one in value) if isinstance(value, list) else f"{value:g}"


def _trust(found: Gathered) -> Iterator[str]:
    """Self-checks, and whether the correct key scores as the plain model."""
    checks = [check for run in found.runs for check in run.self_checks]
    if checks:
        yield f"self-checks passed: {sum(check.passed for check in checks)} of {len(checks)}"
    compared = [result for result in found.main if result.correct_minus_plain is not None]
    if compared:
        same = sum(result.coincides for result in compared)
        where = "in every run" if same == len(compared) else f"in {same} of {len(compared)} runs"
        yield f"correct key = plain model {where}"


def _places(found: Gathered) -> Iterator[str]:
    """When, with what, and from which commit."""
    if date := made(found):
        yield date
    about = [run.manifest for run in found.runs] + [session for run in found.attacks for session in _sessions(run)]
    versions = {str((one.get("versions") or {}).get("wrongkey") or "") for one in about} - {""}
    commits = {str(one.get("git") or "")[:SHORT_HASH] for one in about} - {""}
    if versions:
        yield f"wrongkey {', '.join(sorted(versions))}"
    if commits:
        yield f"git {', '.join(sorted(commits))}"


def _sessions(run: Any) -> list[dict[str, Any]]:
    return list(run.suite.get("sessions") or [])


def _started(suite: dict[str, Any]) -> str:
    return str((suite.get("sessions") or [{}])[0].get("started") or "")


def _corpus(run: Run) -> str:
    """Such as "bundled: 28 speakers, 672 trials, synthetic"."""
    corpus, trials = run.section("corpus"), run.section("trials")
    asked = sum(trials.get(kind) or 0 for kind in ("target", "nontarget"))
    counts = [(corpus.get("speakers"), "speaker"), (asked, "trial")]
    known = [_count(number, noun) for number, noun in counts if number]
    known.append({"unknown": "not known whether real"}.get(run.recordings, run.recordings))
    return f"{run.corpus}: {', '.join(known)}"


def _facts(run: Run) -> dict[str, str]:
    """Short facts of the manifest, those that it holds."""
    manifest, config = run.manifest, run.section("config")
    seed = config.get("seed", "unknown")
    classes = manifest.get("classes")
    facts = {
        "folder": run.name,
        "data": ", ".join(_data(run)),
        "trials": str(run.section("trials").get("source") or ""),
        "text": f"normalised by “{config.get('text')}”" if run.task == "asr" else "",
        "classes": ", ".join(map(str, classes)) if isinstance(classes, list) else "",
        "query": f"{run.block_words} of a {'waveform' if run.blocks == Blocks.SAMPLES else 'spectrogram'}",
        "left out": ", ".join(_left_out(run)),
        "keys": f"{run.keys_done:,} {'incorrect' if run.keyed else run.scheme_name}, seed {seed}, {run.state}",
        "variant": f"{run.variant}: {run.variant_words}" if run.variant_words else run.variant,
        "key space": f"{run.key_space:,} incorrect keys" if run.key_space else "",
        "made": _made(manifest),
        "device": _of_sessions(manifest, "device"),
        "git": _of_sessions(manifest, "git"),
        "versions": ", ".join(f"{name} {number}" for name, number in run.section("versions").items()),
    }
    return {name: text for name, text in facts.items() if text}


def _data(run: Run) -> list[str]:
    """The corpus, how large it is, and how many trials were asked of it."""
    corpus, trials = run.section("corpus"), run.section("trials")
    counts = [
        (corpus.get("speakers"), "speakers"),
        (corpus.get("utterances"), "utterances"),
        (corpus.get("words"), "words in the transcripts"),
        (corpus.get("classes"), "classes"),
        (trials.get("target"), "target trials"),
        (trials.get("nontarget"), "nontarget trials"),
    ]
    facts = [run.corpus, *(f"{count:,} {noun}" for count, noun in counts if _is_number(count) and count)]
    if _is_number(corpus.get("seconds")):
        facts.append(f"{corpus['seconds'] / 60:,.0f} min")
    return facts


def _left_out(run: Run) -> Iterable[str]:
    """Metrics that only some of the keys have."""
    return (
        f"{METRICS[name].label}, which only {count:,} of the keys have"
        for name, count in run.partial.items()
        if name in METRICS
    )


def _made(manifest: dict[str, Any]) -> str:
    """When the run was made, and how long it took."""
    made = " to ".join(str(manifest[key]) for key in ("started", "ended") if manifest.get(key))
    if _is_number(manifest.get("seconds")):
        made += f" ({manifest['seconds']:,.0f} s)"
    return made


def _of_sessions(manifest: dict[str, Any], name: str) -> str:
    """A fact of a run, and those of later sessions where they are others."""
    sessions = manifest.get("sessions") or []
    return ", then ".join(dict.fromkeys(str(one[name]) for one in (manifest, *sessions) if one.get(name)))


def _utc_date(end: object) -> str:
    try:
        moment = datetime.fromisoformat(str(end))
    except ValueError:
        return ""
    return (moment.astimezone(UTC) if moment.tzinfo else moment).date().isoformat()


def _count(number: int, noun: str, many: str = "") -> str:
    return f"{number:,} {noun if number == 1 else many or f'{noun}s'}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
