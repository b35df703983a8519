"""The one error that a user can cause."""


class BadInput(ValueError):
    """Input that wrongkey cannot use: the message is one sentence naming the file or value and what to do.

    Every room raises it at its own boundary; the command line prints the sentence and exits with code 2.
    """
