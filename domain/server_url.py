"""Parses the URLs of our own servers. They hold passwords, so no error repeats any part of one."""

import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from domain.errors import Misconfigured
from domain.settings import host_of


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """The parts of such a URL, decoded. A missing port is None; other missing parts are empty."""

    scheme: str
    user: str
    password: str = field(repr=False)
    host: str
    port: int | None
    path: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """What the URL in a variable has to look like."""

    variable: str
    example: str
    schemes: frozenset[str]
    parameters: frozenset[str]

    def parse(self, url: str) -> ServerUrl:
        """Parse a URL of this form. Raises Misconfigured."""
        try:
            # The environment may hold bytes that are not text, which cannot be sent to a server.
            url.encode()
            parts = urlsplit(url)
            # Either of the latter two is the rest of a password with a / or a # in it.
            if parts.scheme not in self.schemes or "@" in parts.path or parts.fragment:
                raise self.refused()
            if "," in parts.netloc.rpartition("@")[2]:
                # Checked first: if each host has a port, reading the port raises ValueError.
                raise self._several()
            found = ServerUrl(
                scheme=parts.scheme,
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                host=parts.hostname or "",
                port=parts.port,
                path=unquote(parts.path),
                parameters=dict(parse_qsl(parts.query, keep_blank_values=True)),
            )
            for host in (found.host, found.parameters.get("host", "")):
                if "\0" in host:
                    raise self.refused()
                if "," in host:
                    raise self._several()
                if not host.startswith("/"):
                    host_of(host)
        except ValueError:  # its text repeats what was taken for a port or a host
            raise self.refused() from None
        if not found.parameters.keys() <= self.parameters:
            known = ", ".join(sorted(self.parameters))
            raise Misconfigured(
                f"Of parameters, {self.variable} may have {known} and no other; in a password, ? is written %3F."
            )
        return found

    def trusting(self, parameter: str, file: str) -> ssl.SSLContext:
        """A context that trusts only the authorities in the file that this parameter names. Raises Misconfigured."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(file)
        except OSError as error:
            why = "it holds no certificates" if isinstance(error, ssl.SSLError) else error.strerror
            raise Misconfigured(f"{self.variable}: {parameter}={file} cannot be read: {why}.") from None
        except ValueError:  # no file name can contain NUL
            raise self.refused() from None
        return context

    def _several(self) -> Misconfigured:
        return Misconfigured(f"{self.variable} must name one host: a name or a proxy that leads to the primary.")

    def refused(self) -> Misconfigured:
        """What to raise for a URL that is not of this form."""
        return Misconfigured(
            f"{self.variable} must look like {self.example}; in a password, / @ # ? [ are written %2F %40 %23 %3F %5B."
        )
