"""Brokers for tests and local platforms: embedded, Apache Kafka by Maven, Docker, elsewhere."""
