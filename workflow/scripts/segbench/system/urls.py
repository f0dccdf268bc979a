"""Addresses on the network: whether one can be asked for, and how it may be printed.

Judges the text alone; a dry run asks it, so it imports nothing that sends anything.
"""

from urllib.parse import urlsplit


def url_problem(url: str, is_recorded: bool = True) -> str | None:
    """Say why an address cannot be downloaded from, or None.

    Args:
        url: the address.
        is_recorded: whether it will be written into results, so that it must hold no secret.
    """
    try:
        parts = urlsplit(url)
        port_is_odd = parts.port == 0
    except ValueError as error:
        return f"'{url}' is not an address ({error})"
    if parts.scheme not in ("http", "https"):
        return f"'{shown(url)}': only http:// and https:// addresses can be downloaded"
    if is_recorded and parts.username is not None:
        return (
            f"'{shown(url)}': holds a user name, which would be written into results; put it "
            "into ~/.netrc"
        )
    if port_is_odd or not parts.hostname or any(c.isspace() or not c.isprintable() for c in url):
        return f"'{shown(url)}' is not an address of a file on a host"
    return None


def shown(url: str) -> str:
    """A URL as it may be printed: without what can be a secret, a password or a query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    query = "..." if parts.query else ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()
