"""The one error that is meant for the user's eyes."""


class DcfmError(Exception):
    """A problem the user can act on.

    Its message is one complete sentence or two: what is wrong, what was expected, what to do. The command line prints
    it without a traceback and exits with 2; the node logs it as one line.
    """
