"""Benchmarks against peers; nothing here is installed."""
