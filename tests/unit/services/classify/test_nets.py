"""What the nets are given, and how their outputs are added. No net runs here."""

from __future__ import annotations

import numpy as np

from agegender.services.classify.nets import combine, inputs
from agegender.shared.models import load_manifest

NET_A, NET_B = load_manifest().nets["age_gender_a"], load_manifest().nets["gender_b"]


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


def test_logits_are_added_by_gender_and_the_sum_decides() -> None:
    # A's columns are years, male, female; B's are female, male.
    a = np.array([[30, 2, 0], [40, 0, 1], [50, 500, -500]], np.float32)
    b = np.array([[1, 0], [-1, 1], [-500, 500]], np.float32)
    predictions = combine((NET_A, NET_B), (a, b))
    np.testing.assert_array_equal(predictions.age_years, [30, 40, 50])
    np.testing.assert_array_equal(predictions.male_logit, [1, 1, 2000])
