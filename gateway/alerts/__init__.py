"""Alerts: taken from the outbox, delivered to the log and to the channels of their plans."""
