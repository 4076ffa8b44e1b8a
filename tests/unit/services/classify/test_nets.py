"""What the nets are given, and how their outputs are added. No net runs here."""

from __future__ import annotations

import numpy as np

from agegender.services.classify.nets import View, column_names, combine, inputs, views
from agegender.shared.models import load_manifest

MANIFEST = load_manifest()
NET_A, NET_B, NET_C = (MANIFEST.nets[name] for name in ("age_gender_a", "gender_b", "face_features_c"))
NAMES = column_names(MANIFEST)


def test_net_a_reads_the_central_112_pixels_untouched() -> None:
    chip = np.random.default_rng(5).integers(0, 256, (1, 160, 160, 3), np.uint8)
    expected = (chip[:, 24:136, 24:136, ::-1] - np.array(NET_A.input.mean)) / 255
    np.testing.assert_allclose(inputs(chip, NET_A.input), expected, rtol=0, atol=1e-6)


def test_net_b_reads_the_central_two_thirds_without_a_shift() -> None:
    columns = np.broadcast_to(np.arange(160, dtype=np.uint8)[:, np.newaxis], (1, 160, 160, 3))
    for turned, axis in ((columns, 2), (columns.transpose(0, 2, 1, 3), 1)):
        seen = inputs(np.ascontiguousarray(turned), NET_B.input) * 256 + np.array(NET_B.input.mean)
        centres = 160 / 2 + (np.arange(32) - 15.5) * (160 / 1.5 / 32) - 0.5
        np.testing.assert_allclose(seen[0].mean(axis=(2 - axis, 2)), centres, rtol=0, atol=0.51)


def test_colours_reach_the_nets_as_red_green_blue() -> None:
    blue = np.zeros((1, 160, 160, 3), np.uint8)
    blue[..., 0] = 255
    for net in (NET_A, NET_B):
        seen = inputs(blue, net.input)[0, 0, 0] * net.input.divisor + np.array(net.input.mean)
        np.testing.assert_allclose(seen, [0, 0, 255], atol=1e-3)


def test_net_c_reads_the_whole_chip_in_blue_green_red() -> None:
    chip = np.zeros((1, 160, 160, 3), np.uint8)
    chip[:, :, :80] = (10, 20, 30)
    chip[:, :, 80:] = (40, 50, 60)
    seen = inputs(chip, NET_C.input)[0] + np.array(NET_C.input.mean)
    assert seen.shape == (192, 192, 3)
    np.testing.assert_allclose(seen[0, 0], [10, 20, 30], atol=1e-3)
    np.testing.assert_allclose(seen[-1, -1], [40, 50, 60], atol=1e-3)


def test_a_mirrored_net_sees_the_mirror_image() -> None:
    chip = np.random.default_rng(5).integers(0, 256, (1, 160, 160, 3), np.uint8)
    flipped = np.ascontiguousarray(chip[:, :, ::-1])
    for net in (NET_A, NET_B, NET_C):
        np.testing.assert_allclose(
            inputs(chip, net.input, mirrored=True), inputs(flipped, net.input), rtol=0, atol=1e-2
        )


def test_a_pack_says_which_nets_run_mirrored_too() -> None:
    assert [view.net for view in views(MANIFEST.packs["fast"])] == ["gender_b", "face_features_c"]
    default = views(MANIFEST.packs["default"])
    assert {view.net for view in default if view.mirrored} == {"gender_b"}
    assert len(default) == 4


def test_readings_are_means_over_the_views_of_a_net() -> None:
    # A's columns are years, male, female; B's are female, male.
    a, mirrored_a = np.array([[30, 2, 0]], np.float32), np.array([[40, 0, 4]], np.float32)
    b, c = np.array([[1, 4]], np.float32), np.full((1, 1024), 0.5, np.float32)
    run = [
        View("age_gender_a", mirrored=False),
        View("age_gender_a", mirrored=True),
        View("gender_b", mirrored=False),
        View("face_features_c", mirrored=False),
    ]
    read = combine(run, [a, mirrored_a, b, c], NAMES)
    assert (read.age_a_years[0], read.logit_a[0], read.logit_b[0]) == (35, -1, 3)
    np.testing.assert_array_equal(read.features_c, c)


def test_a_net_that_is_left_out_says_nothing() -> None:
    read = combine([View("face_features_c", mirrored=False)], [np.ones((2, 1024), np.float32)], NAMES)
    np.testing.assert_array_equal(read.logit_a, [0, 0])
    np.testing.assert_array_equal(read.logit_b, [0, 0])
    assert np.isnan(read.age_a_years).all()
