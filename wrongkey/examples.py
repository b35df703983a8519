"""Examples for the help of every command. Each is a command as one types it; a test parses them all."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "wrongkey demo": ("wrongkey demo", "wrongkey demo --keys 100 --out /tmp/demo"),
    "wrongkey sweep": (
        "wrongkey sweep --model asv-raw10 --corpus bundled --trials corpus",
        "wrongkey sweep --model asv-raw10 --corpus bundled --scheme shuffling --keys 5000 --out runs/shuffling",
        "wrongkey sweep --config sweep.toml --keys 200 --json",
        "wrongkey sweep --model asv-raw10 --corpus bundled --keys 100000 --plan",
    ),
    "wrongkey strength": (
        "wrongkey strength --model asv-raw10 --corpus bundled --trials corpus --within 1,2,5",
        "wrongkey strength --model asv-raw3 --corpus bundled --population 1000 --repetitions 5 --out runs/raw3",
    ),
    "wrongkey attack": (
        "wrongkey attack list",
        "wrongkey attack suite --model asv-raw10 --corpus bundled --scheme rom --out runs/suite",
        "wrongkey attack polyphase --corpus bundled --scheme rom --block 10 --seconds 5 --fail-if broken",
    ),
    "wrongkey board": (
        "wrongkey board --protocol smoke --corpus bundled --out runs/smoke",
        "wrongkey board --protocol speech-v1 --corpus kaldi:data/speechocean762 --schemes rom,mine:scheme --blocks 10",
        "wrongkey board --protocol speech-v1 --plan",
    ),
    "wrongkey board merge": ("wrongkey board merge runs/smoke theirs/board.json --out runs/merged",),
    "wrongkey analyse keys": ("wrongkey analyse keys runs/asv-raw10-rom",),
    "wrongkey analyse decryption": (
        "wrongkey analyse decryption --out runs/asv-raw10-rom",
        "wrongkey analyse decryption --model asv-raw3 --corpus bundled --draws 5 --out runs/near",
    ),
    "wrongkey analyse phase": (
        "wrongkey analyse phase --corpus bundled --scheme rom --block 3,10 --utterances 5 --out runs/phase",
    ),
    "wrongkey analyse leaks": (
        "wrongkey analyse leaks --corpus bundled --block 10 --speaker-model asv-raw3 --out runs/leaks",
    ),
    "wrongkey report": ("wrongkey report runs --out report.html",),
    "wrongkey view": ("wrongkey view runs", "wrongkey view runs/demo --port 8000 --no-browser"),
    "wrongkey recover": (
        "wrongkey recover encrypted.wav --scheme rom --block 10 -o plain.wav",
        "wrongkey recover one.wav two.wav --scheme shuffling --block 20 -o plain --key-out found.npz --figures figures",
    ),
    "wrongkey compare": (
        "wrongkey compare runs/rom3 runs/rom10",
        "wrongkey compare runs/rom10 runs/flipping10 --margin 2 --out comparison.html",
        "wrongkey compare attacks/rom attacks/shuffling --json",
    ),
    "wrongkey reproduce": (
        "wrongkey reproduce fig9 --model asv-raw3 asv-raw10 --corpus bundled --out runs/fig9 --keys 200",
    ),
    "wrongkey rerun": ("wrongkey rerun runs/asv-raw10-rom", "wrongkey rerun runs/suite --out /tmp/suite --json"),
    "wrongkey keys draw": (
        "wrongkey keys draw --scheme rom --block 10 -o secret.npz",
        "wrongkey keys draw --scheme rom --block 10 --seed 0 --index 590 -o wrong-590.npz",
    ),
    "wrongkey keys show": ("wrongkey keys show secret.npz",),
    "wrongkey keys space": (
        "wrongkey keys space --scheme shuffling --block 10",
        "wrongkey keys space --scheme rom+turns=4 --block 10",
    ),
    "wrongkey encrypt": ("wrongkey encrypt speech.wav --key secret.npz -o encrypted.wav",),
    "wrongkey decrypt": ("wrongkey decrypt encrypted.wav --key secret.npz -o decrypted.wav",),
    "wrongkey encrypt-model": ("wrongkey encrypt-model --model asv-raw10 --key secret.npz -o encrypted.safetensors",),
    "wrongkey models": ("wrongkey models", "wrongkey models asv-raw10"),
    "wrongkey schemes": ("wrongkey schemes", "wrongkey schemes rom+turns=4 --block 10"),
    "wrongkey corpora": ("wrongkey corpora",),
    "wrongkey corpora show": ("wrongkey corpora show bundled",),
    "wrongkey corpora fetch": ("wrongkey corpora fetch librispeech-test-clean corpora",),
    "wrongkey doctor": ("wrongkey doctor",),
    "wrongkey ls": ("wrongkey ls", "wrongkey ls runs/demo --json"),
    "wrongkey completion": ('eval "$(wrongkey completion bash)"', "wrongkey completion fish | source"),
}
