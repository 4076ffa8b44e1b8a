"""Calibrations made up for tests."""

from __future__ import annotations

from agegender.services.classify.calibration import Calibration, CalibrationSource, CalibrationTables

Values = tuple[tuple[float, ...], ...]


_NOTHING: Values = ((0.0, 0.0), (0.0, 0.0))
_AS_IT_IS: Values = ((1.0, 1.0), (1.0, 1.0))


def calibration(
    *,
    low_years: Values = _NOTHING,
    high_years: Values = _NOTHING,
    gender_scale: Values = _AS_IT_IS,
    unknown_below: float = 0.5,
) -> Calibration:
    """Knots at the ages 20 and 60 and the qualities 0.2 and 0.8. By default it corrects nothing."""
    tables = CalibrationTables(
        interval_low_years=low_years, interval_high_years=high_years, gender_scale=gender_scale
    )
    return Calibration(
        origin=CalibrationSource(
            tool="a test", dataset="none", part="all", labels_sha256=None, faces=0, copies=0
        ),
        nets="nets-1",
        age_knots_years=(20.0, 60.0),
        quality_knots=(0.2, 0.8),
        unknown_below=unknown_below,
        flip_augmentation={False: tables, True: tables},
    )
