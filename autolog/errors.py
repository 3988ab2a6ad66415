"""The exceptions that autolog raises on purpose, each saying what to do next."""

from __future__ import annotations


class AutologError(Exception):
    """Base of every error that autolog raises."""


class InvalidSetting(AutologError, ValueError):
    """A setting has a value that can't be used."""


class InvalidQuery(AutologError, ValueError):
    """A search asks for something that can't be searched."""

    def __init__(self, message: str, place: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.place = place
        """Where in a filter it is wrong, from one character to before another, where that is known."""


class InvalidTrace(AutologError, ValueError):
    """A trace can't be taken as it is."""


class InvalidAssessment(AutologError, ValueError):
    """Feedback or an expectation lacks something, or has something that can't be."""


class InvalidDataset(AutologError, ValueError):
    """A dataset, or a record of it, can't be as it is asked for."""


class UnknownIntegration(AutologError, ValueError):
    """No integration has this name; the message lists those that there are."""


class Unavailable(AutologError):
    """The library that an integration observes is not installed."""


class NotFound(AutologError, LookupError):
    """The store has no such trace, assessment or run."""


class NotAllowed(AutologError):
    """Whoever asks may not do this; the message says what they may."""


class StoreError(AutologError):
    """The store can't be read or written; the message says why and how to mend it."""
