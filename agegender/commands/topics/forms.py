"""All topics of the system in the form that these settings give them."""

from __future__ import annotations

from collections.abc import Sequence

from agegender.shared.kafka.topics import (
    CAMERAS,
    CHECKPOINTS_NAME,
    CHECKPOINTS_RETENTION_S,
    DEAD_LETTERS_NAME,
    DEAD_LETTERS_RETENTION_S,
    FACES,
    FRAMES,
    NOTICES,
    PREVIEWS,
    RESULTS,
    TopicConfig,
)
from agegender.shared.process.settings import KafkaSettings


def all_forms(kafka: KafkaSettings, frame_partitions: int | None = None) -> Sequence[TopicConfig]:
    """The form of each topic, `frames` before `checkpoints`.

    Args:
        frame_partitions: of the topic `frames`; None: as in the settings. `checkpoints` has the same number,
            because a worker reads the checkpoint of a camera from the partition of the same number.
    """
    prefix = kafka.topic_prefix
    passing = {one.name: one.retention_s for one in (FRAMES, FACES, RESULTS, PREVIEWS, NOTICES)}
    passing[DEAD_LETTERS_NAME] = DEAD_LETTERS_RETENTION_S
    checkpoint_partitions = kafka.partitions if frame_partitions is None else frame_partitions
    return [
        TopicConfig.compacted(kafka, prefix + CAMERAS.name, kafka.camera_partitions),
        *(TopicConfig.deleting(kafka, prefix + name, kept_s) for name, kept_s in passing.items()),
        TopicConfig.changelog(
            kafka, prefix + CHECKPOINTS_NAME, checkpoint_partitions, CHECKPOINTS_RETENTION_S
        ),
    ]


def frames_name(kafka: KafkaSettings) -> str:
    """The full name of the topic of frames."""
    return kafka.topic_prefix + FRAMES.name


def is_camera_table(form: TopicConfig, kafka: KafkaSettings) -> bool:
    """Whether it is the table of cameras. Its partitions are permanent: a key would lie in two of them."""
    return form.name == kafka.topic_prefix + CAMERAS.name
