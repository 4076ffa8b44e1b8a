"""What is in Redis, over HTTP: for programs as JSON, for people as a live page. Changes nothing."""
