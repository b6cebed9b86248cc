"""The version of this checkout; pyproject.toml reads it here."""

VERSION = "0.1.0"
# As whom we call receivers and networks.
USER_AGENT = f"Hookline/{VERSION}"
