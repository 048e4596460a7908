"""The whole platform on one machine, and importers of real histories."""
