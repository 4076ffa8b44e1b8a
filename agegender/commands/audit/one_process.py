"""The reconciliation of `agegender run`: one process, known by its counters alone."""

from __future__ import annotations

from collections.abc import Sequence

from agegender.commands.audit.counters import BAD, RECEIVED, REPEATED, SENT, SKIPPED, WRITTEN, Counters
from agegender.commands.audit.counting import captured
from agegender.commands.audit.reconciliation import Amount, Balance, CameraCounts, balances

_SOURCE = "metrics"
_FRAMES_MOST = 100  # frames of a camera between ingest and detect, with the batch of detect
_MOST = 1_000  # messages between the other services, with their batches


def balances_of_one_process(counters: Counters) -> Sequence[Balance]:
    """All equations between the counters of a whole pipeline.

    Messages on their way inside the process are not counted. Messages that the next service has not received
    are taken to be waiting, up to the capacity between the two.
    """
    found: list[Balance] = []
    for camera in sorted(counters.cameras):
        found += balances(CameraCounts(camera, captured(counters, camera)))
        found.append(_handed_on(counters, camera, "frame", ("ingest", "published"), "detect", _FRAMES_MOST))
        sent = counters.total(SENT, service="detect", camera=camera, kind="face")
        skipped = counters.by_label(SKIPPED, "reason", camera=camera)
        found += balances(CameraCounts(camera, found_sent=sent, skipped=skipped))
        found.append(_handed_on(counters, camera, "face", ("detect", "sent"), "classify", _MOST))
        found.append(_handed_on(counters, camera, "result", ("classify", "sent"), "sink", _MOST))
    return [*found, _classified(counters), _written(counters)]


def _handed_on(
    counters: Counters, camera: str, kind: str, sender: tuple[str, str], receiver: str, most: int
) -> Balance:
    service, verb = sender
    sent = counters.total(SENT, service=service, camera=camera, kind=kind)
    received = counters.total(RECEIVED, service=receiver, camera=camera, kind=kind)
    return Balance(
        camera,
        kind,
        Amount(f"{kind}s {verb}", sent, f"metrics of {service}"),
        [
            Amount(f"received by {receiver}", received, f"metrics of {receiver}"),
            Amount("waiting", min(max(0, sent - received), most), _SOURCE),
        ],
        lost=f"{verb} and neither received by {receiver} nor waiting",
        extra=f"received by {receiver} and never {verb}",
    )


def _classified(counters: Counters) -> Balance:
    source = "metrics of classify"
    return Balance(
        None,
        "face",
        Amount(
            "faces received by classify", counters.total(RECEIVED, service="classify", kind="face"), source
        ),
        [
            Amount("classified", counters.total(SENT, service="classify", kind="result"), source),
            Amount("dead-lettered", counters.total(BAD, service="classify"), source),
        ],
        lost="received and neither classified nor dead-lettered",
        extra="classified and never received",
    )


def _written(counters: Counters) -> Balance:
    source = "metrics of sink"
    return Balance(
        None,
        "result",
        Amount("results received by sink", counters.total(RECEIVED, service="sink", kind="result"), source),
        [
            Amount("written", counters.total(WRITTEN), source),
            Amount("repeated", counters.total(REPEATED), source),
            Amount("dead-lettered", counters.total(BAD, service="sink"), source),
        ],
        lost="received and neither written nor repeated",
        extra="written and never received",
    )
