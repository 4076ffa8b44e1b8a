"""What every service shares: messages, codec, transports, runner, settings, logs, metrics, health.

Nothing in here imports `services`.
"""
