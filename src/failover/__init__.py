"""Failover: a reverse proxy that makes the downtime of your app invisible."""

__version__ = "0.1.0"
