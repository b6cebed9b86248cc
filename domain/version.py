"""The version of this checkout; pyproject.toml reads it here."""

VERSION = "0.1.0"
# Sent to receivers and networks as User-Agent.
USER_AGENT = f"Hookline/{VERSION}"
