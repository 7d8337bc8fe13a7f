"""Hours in minutes: the real streaming process under load and through an outage, in numbers."""
