"""What sharpscope raises: one sentence that says what to do, and an exit code."""


class SharpscopeError(Exception):
    """Base of all errors raised on purpose; the command line exits with ``exit_code``."""

    exit_code = 1


class MisuseError(SharpscopeError, ValueError):
    """An argument that cannot be meant: an unknown name, a budget of 0, an absent device."""

    exit_code = 2


class CheckpointError(SharpscopeError):
    """A file that cannot be read as a checkpoint, or that does not fit the model."""


class SpecError(SharpscopeError):
    """A ``sharpscope.toml`` that is missing, malformed or names something that does not exist."""


class SubjectError(SharpscopeError):
    """A model, loss or data set that cannot be measured: it refuses a batch or moves."""
