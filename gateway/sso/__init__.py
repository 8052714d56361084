"""Signing on for people, in a browser."""
