"""Delivery of what the outbox holds: one job drains one channel."""
