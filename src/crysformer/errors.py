"""Exceptions whose one-line messages tell a user what to correct."""

from __future__ import annotations


class CrysformerError(Exception):
    """Failure with a message that names the file, the problem and the remedy.

    Messages name parameters in backticks (`copies`), never options of the command line.

    The command line prints the message on one line, with its options in place of these names, and
    exits with `exit_code`.
    """

    exit_code = 1


class InputError(CrysformerError):
    """File or value from outside that cannot be used (exit 1)."""


class UsageError(CrysformerError):
    """Parameters that contradict each other or have no meaning (exit 2)."""

    exit_code = 2


class NotApplicable(CrysformerError):  # noqa: N818 (a verdict, not an error)
    """Method that does not apply to a crystal, for the reason in the message."""
