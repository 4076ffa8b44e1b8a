"""What there is against what there should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from agegender.commands.topics.forms import all_forms, frames_name
from agegender.shared.kafka.topics import PARTITIONS, Deviation, FoundTopic, TopicConfig, deviations
from agegender.shared.process.settings import KafkaSettings

if TYPE_CHECKING:
    from agegender.shared.kafka.topic_admin import KafkaTopics


class State(Enum):
    """How a topic is, or what was done with it."""

    SAME = "same"
    MISSING = "missing"
    DIFFERS = "differs"
    NOT_TOLD = "not told"
    CREATED = "created"
    TO_CREATE = "would be created"
    RAISED = "partitions added"
    TO_RAISE = "would get partitions"


@dataclass(frozen=True)
class TopicComparison:
    """One topic: its form, what is there, and in what that differs."""

    form: TopicConfig
    found: FoundTopic | None
    differences: Sequence[Deviation]
    state: State

    @classmethod
    def of(cls, form: TopicConfig, found: FoundTopic | None) -> TopicComparison:
        """The comparison of a form with what the broker says."""
        if found is None:
            return cls(form, None, (), State.MISSING)
        differences = tuple(deviations(found, form))
        if differences:
            return cls(form, found, differences, State.DIFFERS)
        return cls(form, found, (), State.SAME if found.settings else State.NOT_TOLD)

    @property
    def lacks_partitions(self) -> bool:
        """Whether the topic has fewer partitions than it should have."""
        return self.found is not None and self.found.partitions < self.form.partitions

    def created(self, *, only_asked: bool) -> TopicComparison:
        """The same topic once it was made, or would be."""
        as_formed = FoundTopic(self.form.partitions, self.form.replicas, self.form.settings)
        return TopicComparison(self.form, as_formed, (), State.TO_CREATE if only_asked else State.CREATED)

    def raised(self, *, only_asked: bool) -> TopicComparison:
        """The same topic once it was given its partitions, or would be; what else differs still does."""
        rest = tuple(one for one in self.differences if one.setting != PARTITIONS)
        found = self.found and replace(self.found, partitions=self.form.partitions)
        state = State.DIFFERS if rest else State.TO_RAISE if only_asked else State.RAISED
        return TopicComparison(self.form, found, rest, state)


def compare(topics: KafkaTopics, kafka: KafkaSettings, *, raising: bool = False) -> Sequence[TopicComparison]:
    """All topics as they are; `raising`: `checkpoints` is to be divided as `frames` will be, not as it is.

    Raises:
        NotNow: no broker answers.
    """
    frames = next(one for one in all_forms(kafka) if one.name == frames_name(kafka))
    there = topics.find(frames)
    partitions = kafka.partitions
    if there is not None:
        partitions = max(there.partitions, partitions) if raising else there.partitions
    return [TopicComparison.of(form, topics.find(form)) for form in all_forms(kafka, partitions)]
