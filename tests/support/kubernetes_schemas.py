"""What kinds look like that Kubernetes itself does not know; only the fields that deploy/ uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WORD: dict[str, Any] = {"type": "string", "minLength": 1}
_SECONDS: dict[str, Any] = {"type": "string", "pattern": "^[0-9]+s$"}
_NUMBER: dict[str, Any] = {"type": "integer", "minimum": 0}


def _object(required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _list(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": item, "minItems": 1}


def _resource(version: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = _object({"name": _WORD, "namespace": _WORD}, {"labels": {"type": "object"}})
    return _object(
        {"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": metadata, "spec": spec}
    )


_SCALING_RULES = _object(
    {
        "stabilizationWindowSeconds": {"type": "integer", "minimum": 0, "maximum": 3600},
        "policies": _list(
            _object({"type": {"enum": ["Pods", "Percent"]}, "value": _NUMBER, "periodSeconds": _NUMBER})
        ),
    }
)
# KEDA takes all of these as text.
_KAFKA_TRIGGER = _object(
    {"bootstrapServersFromEnv": _WORD, "topic": _WORD, "consumerGroup": _WORD},
    {
        "lagThreshold": {"type": "string", "pattern": "^[1-9][0-9]*$"},
        "offsetResetPolicy": {"enum": ["earliest", "latest"]},
        "allowIdleConsumers": {"enum": ["true", "false"]},
    },
)

_RELABELLING = _list(
    _object(
        {},
        {
            "sourceLabels": _list(_WORD),
            "targetLabel": _WORD,
            "regex": _WORD,
            "replacement": _WORD,
            "action": {"enum": ["replace", "drop", "labeldrop"]},
        },
    )
)

SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "ScaledObject": _resource(
        "keda.sh/v1alpha1",
        "ScaledObject",
        _object(
            {
                "scaleTargetRef": _object({"name": _WORD}),
                "minReplicaCount": _NUMBER,
                "maxReplicaCount": _NUMBER,
                "triggers": _list(
                    _object(
                        {"type": {"const": "kafka"}, "metadata": _KAFKA_TRIGGER},
                        {"authenticationRef": _object({"name": _WORD})},
                    )
                ),
            },
            {
                "pollingInterval": _NUMBER,
                "advanced": _object(
                    {
                        "horizontalPodAutoscalerConfig": _object(
                            {"behavior": _object({"scaleUp": _SCALING_RULES, "scaleDown": _SCALING_RULES})}
                        )
                    }
                ),
            },
        ),
    ),
    "TriggerAuthentication": _resource(
        "keda.sh/v1alpha1",
        "TriggerAuthentication",
        _object({"secretTargetRef": _list(_object({"parameter": _WORD, "name": _WORD, "key": _WORD}))}),
    ),
    "PodMonitor": _resource(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        _object(
            {
                "jobLabel": _WORD,
                "selector": _object({"matchLabels": {"type": "object"}}),
                "podMetricsEndpoints": _list(
                    _object(
                        {
                            "port": _WORD,
                            "path": _WORD,
                            "interval": {"type": "string", "pattern": "^[0-9]+s$"},
                        },
                        {
                            "honorLabels": {"type": "boolean"},
                            "relabelings": _RELABELLING,
                            "metricRelabelings": _RELABELLING,
                            "authorization": _object({"credentials": _object({"name": _WORD, "key": _WORD})}),
                        },
                    )
                ),
            }
        ),
    ),
}
