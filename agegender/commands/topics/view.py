"""Topics as a person and as a program want to see them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from agegender.commands.topics.comparing import State, TopicComparison
from agegender.commands.topics.meanings import meaning, remedy
from agegender.shared.kafka.topics import POLICY, RETENTION, TopicConfig
from agegender.shared.process.settings import KafkaSettings

_WRONG = (State.MISSING, State.DIFFERS, State.NOT_TOLD)


def topics_table(comparisons: Sequence[TopicComparison]) -> Table:
    """One row a topic, as it should be, and how it is."""
    table = Table(box=None, pad_edge=False)
    for name in ("topic", "partitions", "replicas", "kept", ""):
        table.add_column(name, justify="right" if name in ("partitions", "replicas") else "left")
    for one in comparisons:
        form = one.form
        state = Text(one.state.value, style="yellow" if one.state in _WRONG else "green")
        table.add_row(form.name, str(form.partitions), str(form.replicas), kept(form), state)
    return table


def difference_lines(comparisons: Sequence[TopicComparison], kafka: KafkaSettings) -> Sequence[str]:
    """Of each difference, what it is, what it means and what to do."""
    return [
        *(
            f"{one.form.name}: the broker does not tell its settings: allow DescribeConfigs on it"
            for one in comparisons
            if one.state is State.NOT_TOLD
        ),
        *(
            f"{comparison.form.name}: {one.setting} is {one.found}, expected {one.expected}: {meaning(one)}\n"
            f"    {remedy(one, comparison, kafka)}"
            for comparison in comparisons
            for one in comparison.differences
        ),
    ]


def topic_record(comparison: TopicComparison, kafka: KafkaSettings) -> dict[str, object]:
    """One topic as plain values, ready for JSON."""
    form = comparison.form
    return {
        "topic": form.name,
        "state": comparison.state.value,
        "partitions": form.partitions,
        "replicas": form.replicas,
        "settings": dict(form.settings),
        "differences": [
            {**one._asdict(), "meaning": meaning(one), "remedy": remedy(one, comparison, kafka)}
            for one in comparison.differences
        ],
    }


def kept(form: TopicConfig) -> str:
    """How long a topic keeps its messages: `10 min`, `newest of each key, for ever`."""
    until = _duration(int(form.settings[RETENTION]) // 1000) if RETENTION in form.settings else "for ever"
    return f"newest of each key, {until}" if "compact" in form.settings[POLICY] else until


def _duration(seconds: int) -> str:
    for unit_s, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds % unit_s == 0:
            return f"{seconds // unit_s} {name}"
    return f"{seconds} s"
