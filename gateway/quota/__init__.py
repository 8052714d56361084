"""Quota: calendar windows, counters and ledgers."""
