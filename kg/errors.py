"""Which errors can Korvai raise, and which of them are worth another try?

    KorvaiError
    + SettingsError                 a setting is missing, unsafe or contradicts another
    + ServiceError                  an embedded service cannot be installed, started or stopped
    + GraphError                    the database said no, or what it holds is not what was asked for
    |   StatementError              a saved statement is unknown, malformed or was called with wrong parameters
    |   GraphUnavailable*           the server cannot be reached, or went away in the middle
    |   GraphBusy*                  somebody keeps writing what is being read
    |   IndexNotReady*              an index exists and does not answer yet
    |   NodeNotFound                no node has that key
    |   StaleToken                  a newer publisher, or a newer holder of the job, has taken over
    |   EditConflict                the graph is not as an edit, or its undo, found it
    |   SchemaViolation             data or a domain file contradicts the schema
    + MediaError                    about one image
    |   UnreadableMedia             missing, truncated, gigantic or not an image
    |   DimensionMismatch           a vector is not as long as its index or its model wants
    + EncoderError                  an encoder is unknown, or its weights do not match
    + StoreError                    the store is read-only, full, or a file in it is damaged
    + TrainingError
    |   UnknownRecipe  RecipeConfigError  EmptySplit  LossDiverged  CheckpointMismatch
    + QueueError
        QueueUnavailable*           the broker cannot be reached
        PayloadError                a task's arguments are malformed
        JobTooLarge                 a job needs more memory than the machine has
        MemoryTaken*                a job needs more memory than is free now
        JobCancelled                somebody asked for the job to stop

An asterisk marks the retryable ones. A message says what was tried, the value, and the way out.
"""

__all__ = [
    "CheckpointMismatch",
    "DimensionMismatch",
    "EditConflict",
    "EmptySplit",
    "EncoderError",
    "GraphBusy",
    "GraphError",
    "GraphUnavailable",
    "IndexNotReady",
    "JobCancelled",
    "JobTooLarge",
    "KorvaiError",
    "LossDiverged",
    "MediaError",
    "MemoryTaken",
    "NodeNotFound",
    "PayloadError",
    "QueueError",
    "QueueUnavailable",
    "RecipeConfigError",
    "SchemaViolation",
    "ServiceError",
    "SettingsError",
    "StaleToken",
    "StatementError",
    "StoreError",
    "TrainingError",
    "UnknownRecipe",
    "UnreadableMedia",
]


class KorvaiError(Exception):
    """Root of everything Korvai raises on purpose; the CLI prints it as one line and exits with 1."""

    retryable = False


class SettingsError(KorvaiError):
    """A setting is missing, unsafe or contradicts another."""


class ServiceError(KorvaiError):
    """An embedded service cannot be installed, started or stopped."""


class GraphError(KorvaiError):
    """The database said no, or holds something else than was asked for."""


class StatementError(GraphError):
    """A saved statement is unknown, malformed, failed, or was called with wrong parameters."""


class GraphUnavailable(GraphError):
    """The server cannot be reached, or went away in the middle of a call."""

    retryable = True


class GraphBusy(GraphError):
    """Somebody keeps writing what is being read, so that no reading is of one moment."""

    retryable = True


class IndexNotReady(GraphError):
    """An index exists and does not answer yet."""

    retryable = True


class NodeNotFound(GraphError):
    """No node has the key that was asked for."""


class StaleToken(GraphError):
    """A newer publisher has taken the fencing token, or a newer holder the job: this one makes nothing visible."""


class EditConflict(GraphError):
    """The graph is not as an edit found it: a later edit stands in the way, or somebody was faster."""


class SchemaViolation(GraphError):
    """Data, or a domain file, contradicts the schema."""


class MediaError(KorvaiError):
    """Something is wrong with one image or one vector."""


class UnreadableMedia(MediaError):
    """A file is missing, truncated, gigantic or not an image."""


class DimensionMismatch(MediaError):
    """A vector is not as long as its index or its model wants."""


class EncoderError(KorvaiError):
    """An encoder is unknown, or its weights do not match its architecture."""


class StoreError(KorvaiError):
    """The store is read-only or full, or a file in it is damaged."""


class TrainingError(KorvaiError):
    """Something is wrong with a run."""


class UnknownRecipe(TrainingError):
    """No recipe is registered under that name."""


class RecipeConfigError(TrainingError):
    """A recipe's configuration has an unknown key or an impossible value."""


class EmptySplit(TrainingError):
    """A split has no example, so nothing can be learnt or measured on it."""


class LossDiverged(TrainingError):
    """The loss became infinite or not a number."""


class CheckpointMismatch(TrainingError):
    """A checkpoint was written by another model, schema or configuration."""


class QueueError(KorvaiError):
    """Something is wrong between Korvai and its workers."""


class QueueUnavailable(QueueError):
    """The broker cannot be reached."""

    retryable = True


class PayloadError(QueueError):
    """A task's arguments are malformed; such a task is rejected once and never retried."""


class JobTooLarge(QueueError):
    """A job needs more memory than the machine has."""


class MemoryTaken(QueueError):
    """A job needs more memory than others leave free now."""

    retryable = True


class JobCancelled(QueueError):
    """Somebody asked for the job to stop; what it left unfinished is taken up or removed by the next one."""
