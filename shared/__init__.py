"""What every service shares: messages, codec, transports, runner, settings, logs, metrics, health.

Nothing in here imports `services`.
"""

VERSION = "0.1.0"
"""That of the project; `pyproject.toml` has the same."""
