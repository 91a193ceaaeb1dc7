"""What sharpscope raises: one sentence that says what to do, and an exit code.

The exit codes of the command line, one rule for all of its commands:

* 0: done. A budget spent before the target is reached is done as well; the outcome says so.
* 1: something failed while it was read, built or measured: a checkpoint is corrupt or does not fit
  the model, a function of the user's raises, the model refuses a batch, a loss is not finite.
* 2: the command line or the spec is wrong, and another try with the same words fails again: an
  unknown option, modality or key, a file that is not there or a folder in its place, no TOML, an
  encoder pattern that matches nothing, a function that is not in its module.
* 130: interrupted.

What asks for other words is 2; what asks for another file, model or data set is 1.
"""


class SharpscopeError(Exception):
    """Base of all errors raised on purpose; the command line exits with ``exit_code``."""

    exit_code = 1


class MisuseError(SharpscopeError, ValueError):
    """An argument that cannot be meant: an unknown name, a budget of 0, an absent file."""

    exit_code = 2


class CheckpointError(SharpscopeError):
    """A file that cannot be read as a checkpoint, or that does not fit the model."""


class SpecError(SharpscopeError):
    """A ``sharpscope.toml`` that is missing, malformed or names something that does not exist."""

    exit_code = 2


class FactoryError(SpecError):
    """A function that a spec names, is there, and raises or returns the wrong thing."""

    exit_code = 1


class SubjectError(SharpscopeError):
    """A model, loss or data set that cannot be measured: it refuses a batch or moves."""
