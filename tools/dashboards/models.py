"""What the nets read from faces, and whether it changes over days. Of all cameras together."""

from __future__ import annotations

from tools.dashboards.grafana import Dashboard, Row
from tools.dashboards.panels import Panel, Query

_LAST_DAY = Row(
    "The last day",
    (
        Panel(
            "Ages",
            "Of the faces classified in the last 24 hours, the share of each age band.",
            (Query("sort(age_band:agegender_results_classified:share1d)", "{{age_band}}"),),
            kind="bargauge",
            unit="percentunit",
        ),
        Panel(
            "Genders",
            "Of the faces classified in the last 24 hours. Unknown: neither was likely enough.",
            (Query("gender:agegender_results_classified:share1d", "{{gender}}"),),
            kind="bargauge",
            unit="percentunit",
        ),
        Panel(
            "Faces classified",
            "In the last 24 hours. Under 1,000 the comparisons below mean little, and their alerts stay "
            "silent.",
            (Query("agegender_results_classified:increase1d"),),
            kind="stat",
            width=4,
        ),
        Panel(
            "Not classified",
            "Of all faces that reached the store in the last 24 hours, the share that was too small or too "
            "blurred.",
            (
                Query(
                    'sum(increase(agegender_results_written_total{age_band!~"[0-9].*"}[1d]))'
                    " / (sum(increase(agegender_results_written_total[1d])) > 0) or vector(0)"
                ),
            ),
            kind="stat",
            unit="percentunit",
            width=4,
        ),
    ),
)

_READINGS = Row(
    "Readings",
    (
        Panel(
            "Ages",
            "How many faces were read as how old; the darker, the more.",
            (Query("sum by (le) (increase(agegender_age_years_bucket[$__rate_interval]))", "{{le}}"),),
            kind="heatmap",
            width=12,
        ),
        Panel(
            "How sure the genders are",
            "How many genders were named with which confidence; under 70 % a gender is unknown.",
            (
                Query(
                    "sum by (le) (increase(agegender_gender_confidence_ratio_bucket[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            kind="heatmap",
            unit="percentunit",
            width=12,
        ),
        Panel(
            "Genders",
            "Faces a minute that were classified, by gender.",
            (
                Query(
                    "60 * sum by (gender) "
                    '(rate(agegender_results_written_total{age_band=~"[0-9].*"}[$__rate_interval]))',
                    "{{gender}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "Faces by age band",
            "Faces a minute that reached the store, by age band, or by why they were not classified.",
            (
                Query(
                    "60 * sum by (age_band) (rate(agegender_results_written_total[$__rate_interval]))",
                    "{{age_band}}",
                ),
            ),
            stacked=True,
        ),
        Panel(
            "How well faces can be seen",
            "The quality of the faces that were sent to be classified: 0 unusable, 1 ideal.",
            (
                Query(
                    "sum by (le) (increase(agegender_face_quality_ratio_bucket[$__rate_interval]))", "{{le}}"
                ),
            ),
            kind="heatmap",
        ),
        Panel(
            "Visits, by gender",
            "Visits closed an hour, with age and gender from all of their votes.",
            (
                Query(
                    "3600 * sum by (gender) (rate(agegender_visits_closed_total[$__rate_interval]))",
                    "{{gender}}",
                ),
            ),
            stacked=True,
            width=12,
        ),
        Panel(
            "Visits, by age band",
            "Visits closed an hour, with age and gender from all of their votes.",
            (
                Query(
                    "3600 * sum by (age_band) (rate(agegender_visits_closed_total[$__rate_interval]))",
                    "{{age_band}}",
                ),
            ),
            stacked=True,
            width=12,
        ),
    ),
)

_DRIFT = Row(
    "Drift over days",
    (
        Panel(
            "Ages and genders against a week before",
            "The population stability index of the last 24 hours against those seven days before: 0 the "
            "same, over 0.1 "
            "it moved, over 0.25 it is another distribution. People may have changed, or a camera, the "
            "light, or a model.",
            (
                Query("agegender_results_ages:psi7d", "ages"),
                Query("agegender_results_genders:psi7d", "genders"),
            ),
            thresholds=((0.1, "yellow"), (0.25, "red")),
        ),
        Panel(
            "Mean age",
            "Of the faces classified in the 24 hours before, and seven days earlier.",
            (
                Query("agegender_age_years:mean1d", "now"),
                Query("agegender_age_years:mean1d offset 7d", "a week before"),
            ),
        ),
        Panel(
            "Mean confidence and quality",
            "Of the 24 hours before, and seven days earlier. When quality falls, look at lenses and light; "
            "when only "
            "confidence falls, at the people.",
            (
                Query("agegender_gender_confidence_ratio:mean1d", "confidence"),
                Query("agegender_gender_confidence_ratio:mean1d offset 7d", "confidence, a week before"),
                Query("agegender_face_quality_ratio:mean1d", "quality"),
                Query("agegender_face_quality_ratio:mean1d offset 7d", "quality, a week before"),
            ),
            unit="percentunit",
            high=1,
        ),
        Panel(
            "Age bands, day by day",
            "The share of each age band in the 24 hours before.",
            (Query("age_band:agegender_results_classified:share1d", "{{age_band}}"),),
            unit="percentunit",
            high=1,
            stacked=True,
            width=12,
        ),
        Panel(
            "Genders, day by day",
            "The share of each gender in the 24 hours before.",
            (Query("gender:agegender_results_classified:share1d", "{{gender}}"),),
            unit="percentunit",
            high=1,
            stacked=True,
            width=12,
        ),
    ),
)

MODELS = Dashboard(
    "agegender-models",
    "agegender: models",
    "What the nets read, and whether it changes over days. Distributions of all cameras together, nothing "
    "of single people.",
    (_LAST_DAY, _READINGS, _DRIFT),
    since="now-14d",
    refresh="5m",
)
