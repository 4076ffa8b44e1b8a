"""A head fuses what the nets say by hand, and its members correct that."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.services.classify.head import (
    Head,
    Members,
    PublishedHeads,
    Readings,
    fused_by_hand,
    load_head,
    scalars,
)

FACES = 3


def _published() -> PublishedHeads:
    """Net C always reads 40 years and no gender."""
    age_bias = np.full(100, -50, np.float32)
    age_bias[39] = 50
    return PublishedHeads(
        hidden_weights=np.zeros((1024, 256), np.float32),
        hidden_bias=np.zeros(256, np.float32),
        age_weights=np.zeros((256, 100), np.float32),
        age_bias=age_bias,
        gender_weights=np.zeros((256, 1), np.float32),
        gender_bias=np.full(1, 0.405, np.float32),
    )


def _members(count: int, *, years: float = 0.0, logit: float = 0.0) -> Members:
    return _that_say(count, years / 10, logit)


def _errors(years: float = 5.0) -> Members:
    return _that_say(1, np.log(years))


def _that_say(count: int, *outputs: float) -> Members:
    bias = np.tile(np.array(outputs, np.float32), (count, 1))
    return Members(
        mean=np.zeros((count, 1024), np.float32),
        deviation=np.ones((count, 1024), np.float32),
        hidden_weights=np.zeros((count, 1029, 4), np.float32),
        hidden_bias=np.zeros((count, 4), np.float32),
        output_weights=np.zeros((count, 4, len(outputs)), np.float32),
        skip_weights=np.zeros((count, 5, len(outputs)), np.float32),
        output_bias=bias,
    )


def _readings() -> Readings:
    return Readings(
        age_a_years=np.array([30, 50, 0], np.float32),
        logit_a=np.array([6, -12, 600], np.float32),
        logit_b=np.array([0, 6, 600], np.float32),
        features_c=np.zeros((FACES, 1024), np.float32),
    )


def test_an_uncorrected_head_is_the_fusion_by_hand() -> None:
    predictions = Head(_published(), _members(2), _errors()).predict(_readings())
    assert predictions.age_years == pytest.approx([33, 47, 12], abs=0.01)
    # Each logit is limited to 8, so no net alone decides.
    assert predictions.male_logit == pytest.approx([1, -1, 16], abs=0.01)


def test_without_net_a_the_age_is_that_of_net_c() -> None:
    faces = _readings()._replace(age_a_years=np.full(FACES, np.nan, np.float32))
    predictions = Head(_published(), _members(1), _errors()).predict(faces)
    assert predictions.age_years == pytest.approx(np.full(FACES, 40.0), abs=0.01)


def test_members_correct_by_their_mean() -> None:
    one, other = (_members(1, years=4.0, logit=1.0), _members(1))
    both = Members(**{name: np.concatenate([value, vars(other)[name]]) for name, value in vars(one).items()})
    corrected = Head(_published(), both, _errors()).predict(_readings())
    plain = Head(_published(), other, _errors()).predict(_readings())
    assert corrected.age_years - plain.age_years == pytest.approx(np.full(FACES, 2.0), abs=1e-4)
    assert corrected.male_logit - plain.male_logit == pytest.approx(np.full(FACES, 0.5), abs=1e-4)


@pytest.mark.parametrize(("said", "expected"), [(5.0, 5.0), (0.1, 1.0), (500.0, 30.0)])
def test_the_expected_error_is_limited(said: float, expected: float) -> None:
    predictions = Head(_published(), _members(1), _errors(said)).predict(_readings())
    assert predictions.error_years == pytest.approx(np.full(FACES, expected), rel=1e-5)


def test_scalars_stay_small_whatever_the_nets_say() -> None:
    published = _published().read(_readings().features_c)
    assert np.abs(scalars(_readings(), *published)).max() <= 2
    assert fused_by_hand(_readings(), *published).male_logit.dtype == np.float32


def test_a_head_survives_its_file() -> None:
    head = load_head("default")
    content = head.to_bytes()
    assert content == head.to_bytes()
    read = Head.from_bytes(content)
    rng = np.random.default_rng(3)
    faces = _readings()._replace(features_c=rng.uniform(0, 3, (FACES, 1024)).astype(np.float32))
    for one, same in zip(head.predict(faces), read.predict(faces), strict=True):
        np.testing.assert_array_equal(one, same)


def test_the_open_head_keeps_the_age_fused_by_hand() -> None:
    head = load_head("open")
    faces = _readings()
    by_hand = fused_by_hand(faces, *head.published.read(faces.features_c))
    np.testing.assert_allclose(head.predict(faces).age_years, by_hand.age_years, rtol=0, atol=1e-3)
