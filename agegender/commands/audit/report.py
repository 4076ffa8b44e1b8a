"""What an audit found, as a table for people and a record for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from agegender.commands.audit.counting import CountedCameras
from agegender.commands.audit.reconciliation import Amount, Balance, balances, plural, sentences

_CAMERAS_A_TABLE = 5


@dataclass(frozen=True)
class Report:
    """All equations, and what was seen beside them."""

    balances: Sequence[Balance]
    notes: Sequence[str] = ()
    repeats: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Camera → kind of message → how many came again, which does no harm."""

    @classmethod
    def of(cls, counted: CountedCameras) -> Self:
        """The report of what was counted."""
        found = [balance for camera in counted.cameras for balance in balances(camera)]
        unread = [_deleted_unread(service, n) for service, n in counted.deleted_unread.items() if n]
        flows = {
            one.camera_id: {"frames": one.frames, "faces": one.faces, "results": one.results}
            for one in counted.cameras
        }
        repeats = {
            camera: {kind: flow.repeats for kind, flow in kinds.items() if flow is not None and flow.repeats}
            for camera, kinds in flows.items()
        }
        return cls([*found, *unread], counted.notes, {c: kinds for c, kinds in repeats.items() if kinds})

    def with_note(self, note: str) -> Self:
        """The same with another note."""
        return replace(self, notes=[*self.notes, note])

    @property
    def differences(self) -> Sequence[str]:
        """What does not add up, in words."""
        return sentences(self.balances)

    @property
    def balanced(self) -> bool:
        """Whether everything adds up."""
        return not self.differences

    def record(self) -> dict[str, object]:
        """The whole report as plain values, ready for JSON."""
        cameras: dict[str, list[dict[str, object]]] = {}
        for one in self.balances:
            cameras.setdefault(one.camera_id or "", []).append(_balance_record(one))
        return {
            "balanced": self.balanced,
            "differences": list(self.differences),
            "cameras": {camera: found for camera, found in cameras.items() if camera},
            "all": [_balance_record(one) for one in totals(self.balances)],
            "repeats": {camera: dict(kinds) for camera, kinds in self.repeats.items()},
            "notes": list(self.notes),
        }

    def draw(self) -> RenderableType:
        """Tables of some cameras each, with the sum of all; then the differences and what else there is."""
        cameras = sorted({one.camera_id for one in self.balances if one.camera_id is not None})
        chunks = [cameras[i : i + _CAMERAS_A_TABLE] for i in range(0, len(cameras), _CAMERAS_A_TABLE)] or [[]]
        parts: list[RenderableType] = [self._table(chunk) for chunk in chunks]
        for camera, kinds in self.repeats.items():
            parts += [f"{n} {_singular(kind, n)} of camera {camera} came again." for kind, n in kinds.items()]
        parts += [Text(note, style="dim") for note in self.notes]
        parts += [Text(sentence, style="red bold") for sentence in self.differences]
        if self.balanced:
            parts.append(Text("All numbers add up.", style="green"))
        return Group(*parts)

    def _table(self, cameras: Sequence[str]) -> Table:
        table = Table(title="Reconciliation", title_justify="left")
        table.add_column("")
        for camera in (*cameras, "all"):
            table.add_column(escape(camera), justify="right")
        table.add_column("from")
        for total in totals(self.balances):
            of = {c: _like(total, [one for one in self.balances if one.camera_id == c]) for c in cameras}
            table.add_row(*_row(total.whole, of, total), style="bold")
            for part in total.parts:
                table.add_row(*_row(part, of, total, indent="  "))
            if any(one is not None and one.difference for one in of.values()) or total.difference:
                numbers = [str(one.difference) if one and one.difference else "" for one in of.values()]
                table.add_row("  missing", *numbers, str(total.difference or ""), "", style="red bold")
            table.add_section()
        return table


def totals(found: Sequence[Balance]) -> Sequence[Balance]:
    """The equations of all cameras, those of a kind added up, in the order of the pipeline."""
    kinds: dict[tuple[str, str], list[Balance]] = {}
    for one in found:
        kinds.setdefault(_kind(one), []).append(one)
    return [_sum(some) for some in kinds.values()]


def _kind(one: Balance) -> tuple[str, str]:
    return one.whole.name, one.lost


def _sum(some: Sequence[Balance]) -> Balance:
    first = some[0]
    parts: dict[str, Amount] = {}
    for one in some:
        for part in one.parts:
            before = parts[part.name].count if part.name in parts else 0
            parts[part.name] = Amount(part.name, before + part.count, part.source)
    whole = Amount(first.whole.name, sum(one.whole.count for one in some), first.whole.source)
    return Balance(None, first.noun, whole, list(parts.values()), first.lost, first.extra)


def _like(total: Balance, found: Sequence[Balance]) -> Balance | None:
    return next((one for one in found if _kind(one) == _kind(total)), None)


def _row(amount: Amount, of: Mapping[str, Balance | None], total: Balance, indent: str = "") -> Sequence[str]:
    numbers = [_number(amount.name, one) for one in of.values()]
    return [f"{indent}{escape(amount.name)}", *numbers, _number(amount.name, total), amount.source]


def _number(name: str, balance: Balance | None) -> str:
    amounts = () if balance is None else (balance.whole, *balance.parts)
    return next((str(one.count) for one in amounts if one.name == name), "")


def _balance_record(one: Balance) -> dict[str, object]:
    return {
        "whole": _amount_record(one.whole),
        "parts": [_amount_record(part) for part in one.parts],
        "missing": one.difference,
        "says": one.sentence if one.difference else None,
    }


def _amount_record(one: Amount) -> dict[str, object]:
    return {"name": one.name, "count": one.count, "from": one.source}


def _deleted_unread(service: str, number: int) -> Balance:
    return Balance(
        None,
        "message",
        Amount(f"behind the position of {service}", number, f"offsets of {service}"),
        [Amount("still there", 0, "topic")],
        lost=f"deleted by Kafka before {service} had read them",
        extra="read twice",
    )


def _singular(kind: str, number: int) -> str:
    return plural(kind.removesuffix("s"), number)
