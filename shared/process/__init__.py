"""What every process needs: settings, secrets, TLS, logs, metrics, health."""
