"""The one exception family: what a user can put right, said in one line."""

from __future__ import annotations


class CrysformerError(Exception):
    """A failure with a message that names the file, what was found, and what to do.

    The command line prints the message on one line and exits with `exit_code`.
    """

    exit_code = 1


class InputError(CrysformerError):
    """A file or value from outside cannot be used as it is (exit 1)."""


class UsageError(CrysformerError):
    """Options that contradict each other, or an option that cannot be honoured (exit 2)."""

    exit_code = 2


class NotApplicable(CrysformerError):  # noqa: N818 (a verdict, not a fault)
    """A method does not apply to this crystal; the message says why."""
