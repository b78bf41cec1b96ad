"""Errors of stored data."""
import pickle

# What reading a damaged pickle, or one of something else, raises.
BROKEN_PICKLE = (pickle.UnpicklingError, EOFError, ImportError, LookupError,
                 AttributeError, TypeError, ValueError, ArithmeticError,
                 MemoryError, RecursionError)


class StoreError(ValueError):
    """A store cannot be read or written; says which and what to do."""


class FrameError(ValueError):
    """One frame, or one scan, cannot be used; says why.

    A run skips it, records this and continues.
    """


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says which and why."""
