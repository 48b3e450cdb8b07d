"""Networks of texture models."""
