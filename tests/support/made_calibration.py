"""Calibrations made up for tests."""

from __future__ import annotations

from agegender.services.classify.calibration import Calibration

Values = tuple[tuple[float, ...], ...]


_NOTHING: Values = ((0.0, 0.0), (0.0, 0.0))
_AS_IT_IS: Values = ((1.0, 1.0), (1.0, 1.0))


def calibration(
    *,
    low_years: Values = _NOTHING,
    high_years: Values = _NOTHING,
    gender_scale: Values = _AS_IT_IS,
    unknown_below: float = 0.5,
    interval_turn: tuple[float, ...] = (1.0, 1.0),
    gender_turn: tuple[float, ...] = (1.0, 1.0),
    interval_error: tuple[float, ...] = (1.0, 1.0),
    gender_error: tuple[float, ...] = (1.0, 1.0),
    age_shift_years: tuple[float, ...] = (0.0, 0.0),
) -> Calibration:
    """Knots at the ages 20 and 60, the qualities 0.2 and 0.8, the turns 0 and 1, the errors 2 and 8 years.

    By default it corrects nothing.
    """
    return Calibration(
        pack="nets-1",
        age_knots_years=(20.0, 60.0),
        quality_knots=(0.2, 0.8),
        turn_knots=(0.0, 1.0),
        unknown_below=unknown_below,
        interval_low_years=low_years,
        interval_high_years=high_years,
        interval_turn=interval_turn,
        gender_scale=gender_scale,
        gender_turn=gender_turn,
        error_knots_years=(2.0, 8.0),
        interval_error=interval_error,
        gender_error=gender_error,
        age_shift_years=age_shift_years,
    )
