"""The one error that a user can cause."""

from wrongkey.printable import printable


class BadInput(ValueError):
    """Input that wrongkey cannot use: the message is one sentence naming the file or value and what to do.

    Every room raises it at its own boundary; the command line prints the sentence and exits with code 2. Whatever
    strangers' names hold, the message is one line that prints.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(message))


def in_one_line(error: BaseException, most: int = 300) -> str:
    """Kind and text of a foreign error, for a sentence: at most so many characters, no line breaks."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:most]}{'…' if text[most:] else ''}" if text else type(error).__name__
