"""The pages that Google's front end answers with by itself."""

from __future__ import annotations

from html import escape


def not_found(path: str) -> bytes:
    """404: the page with the robot."""
    return _robot(
        404,
        "Not Found",
        f"The requested URL <code>{escape(path)}</code> was not found on this server.",
    )


def forbidden(path: str) -> bytes:
    """403: nobody said who they are, and the service is private."""
    return _plain(
        "403 Forbidden",
        f"Your client does not have permission to get URL <code>{escape(path)}</code> from this "
        "server.",
    )


def unauthorized(path: str) -> bytes:
    """401: a token that is not for this service."""
    return _plain(
        "401 Unauthorized",
        f"Your client does not have permission to the requested URL <code>{escape(path)}</code>.",
    )


def _plain(title: str, text: str) -> bytes:
    return (
        "\n<html><head>\n"
        '<meta http-equiv="content-type" content="text/html;charset=utf-8">\n'
        f"<title>{title}</title>\n</head>\n"
        "<body text=#000000 bgcolor=#ffffff>\n"
        f"<h1>Error: {title.partition(' ')[2]}</h1>\n<h2>{text}</h2>\n<h2></h2>\n</body></html>\n"
    ).encode()


def _robot(status: int, title: str, text: str) -> bytes:
    return (
        "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
        f"  <title>Error {status} ({title})!!1</title>\n"
        f"  <p><b>{status}.</b> <ins>That’s an error.</ins>\n"
        f"  <p>{text}  <ins>That’s all we know.</ins>\n"
    ).encode()
