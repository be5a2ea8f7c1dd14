"""Kafka in: raw text becomes clean documents, and what cannot becomes a dead letter."""
