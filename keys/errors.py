"""The one error that a user can cause."""

from keys.printable import printable


class BadInput(ValueError):
    """Input that wrongkey cannot use: the message is one sentence naming the file or value and what to do.

    Every room raises it at its own boundary; the command line prints the sentence and exits with code 2. Whatever
    strangers' names hold, the message is one line that prints.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(printable(" ".join(str(message).split()) if "\n" in str(message) else message))
