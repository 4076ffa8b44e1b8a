"""The parts that all services share: messages, runtime, Kafka, store, images, process, cameras.

No module in here imports `services`.
"""

VERSION = "0.1.0"
"""The version of the project, as in `pyproject.toml`."""
