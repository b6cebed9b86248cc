"""The version of this checkout; pyproject.toml reads it here."""

VERSION = "0.1.0"
