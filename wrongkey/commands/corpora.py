"""``wrongkey corpora``: what can be fetched, and what a folder holds."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wrongkey.flags import add_json
from wrongkey.terminal import answer, conclude, logged, note, say, to_reader


def add(commands: Any) -> None:
    """Add the command to the parsers of the command line."""
    parser: argparse.ArgumentParser = commands.add_parser("corpora", help="list, inspect and fetch corpora")
    add_json(parser)
    parser.set_defaults(run=run_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")

    show = actions.add_parser("show", help="speakers, transcripts, classes and seconds of a corpus")
    show.add_argument("corpus", help="as for 'wrongkey sweep'")
    add_json(show)
    show.set_defaults(run=run_show)

    fetch = actions.add_parser("fetch", help="download a corpus from its official address, with its checksum")
    fetch.add_argument("name", help="see 'wrongkey corpora'")
    fetch.add_argument("folder", type=Path, help="where to unpack it")
    fetch.set_defaults(run=run_fetch)


def run_list(options: argparse.Namespace) -> int:
    """List what can be fetched."""
    from wrongkey.evaluation.corpora.fetch import CORPORA

    if options.json:
        answer({name: asdict(corpus) for name, corpus in CORPORA.items()})
        return 0
    say(f"{'bundled':26} 28 synthetic voices, 224 utterances (CC0); in this package")
    for name, corpus in CORPORA.items():
        where = f"{corpus.size / 2**20:,.0f} MiB" if corpus.size else ""
        say(f"{name:26} {where:>10}  {corpus.licence}" if corpus.url else f"{name:26} {corpus.note}")
    return 0


def run_show(options: argparse.Namespace) -> int:
    """Print what a corpus holds, and the cautions of its reader."""
    from collections import Counter

    from wrongkey.evaluation.corpora import open_corpus, total_seconds

    corpus = open_corpus(options.corpus)
    for caution in corpus.cautions:
        note(f"caution: {caution}")
    transcripts = sum(u.text is not None for u in corpus.utterances)
    count = Counter(u.label for u in corpus.utterances if u.label)
    if options.json:
        answer(
            {
                "name": corpus.name,
                "recordings": corpus.recordings,
                "utterances": len(corpus),
                "speakers": len(corpus.speakers),
                "transcripts": transcripts,
                "classes": {label: count[label] for label in corpus.classes},
                "seconds": total_seconds(corpus),
                "content": corpus.digest(),
                "cautions": corpus.cautions,
            }
        )
        return 0
    say(f"{corpus.name}: {len(corpus)} utterances, {corpus.recordings} recordings")
    say(f"{len(corpus.speakers)} speakers, {transcripts} transcripts, {len(corpus.classes)} classes")
    if corpus.classes:
        say(", ".join(f"{label} {count[label]}" for label in corpus.classes))
    say(f"{total_seconds(corpus):.0f} s of audio; content {corpus.digest()}")
    return 0


def run_fetch(options: argparse.Namespace) -> int:
    """Download and unpack a corpus."""
    from wrongkey.evaluation.corpora.fetch import fetch

    conclude(fetch(options.name, options.folder, _transfer()))
    return 0


def _transfer() -> Any:
    """A progress bar in bytes on a terminal, nothing elsewhere."""
    if not (logged() and sys.stderr.isatty()):
        return None
    from tqdm import tqdm

    bar = tqdm(unit="B", unit_scale=True, file=sys.stderr)

    def show(done: int, total: int | None) -> None:
        bar.total = total
        with to_reader():
            bar.update(done - bar.n)

    return show
