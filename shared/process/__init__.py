"""The parts of every process: settings, secrets, TLS, logs, metrics, health."""
