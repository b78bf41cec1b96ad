"""What goes wrong with stored data, in sentences for the user."""
import pickle

# What reading a damaged pickle, or one of something else, raises.
BROKEN_PICKLE = (pickle.UnpicklingError, EOFError, ImportError, LookupError,
                 AttributeError, TypeError, ValueError, ArithmeticError,
                 MemoryError, RecursionError)


class StoreError(ValueError):
    """A store cannot be read or written; says which and what to do."""


class FrameError(ValueError):
    """One frame, or one scan, cannot be used; says why.

    A run skips it, records this and goes on.
    """


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says which and why."""
