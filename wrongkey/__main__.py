"""``python -m wrongkey``."""

from wrongkey.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
