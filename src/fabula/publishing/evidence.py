"""The check before publishing: a model has been shown to have learned something, or the user publishes it anyway."""

from fabula.errors import FabulaError
from fabula.models.records import ModelRecords


def check_evidence(records: ModelRecords, *, anyway: bool) -> None:
    """Refuse a model whose evaluation is no evidence that it learned anything; one without an evaluation passes.

    Args:
        anyway: whether the user publishes it anyway; the card then says what is wrong.

    Raises:
        FabulaError: the verdict says so, and `anyway` is false.
    """
    verdict = records.metrics.verdict if records.metrics else None
    if verdict is None or verdict.is_evidence or anyway:
        return
    # If training achieved nothing, the headline says so; if it only seems to have achieved something, a doubt says
    # why.
    reason = verdict.doubts[0] if verdict.outcome == "better" else verdict.headline
    raise FabulaError(
        f"the evaluation does not show that this model learned anything. {reason.rstrip('.')}",
        where=records.name,
        hint="to publish it anyway, add --anyway; its card then says so",
    )
