"""How does a template become an HTML page that is one file, pictures and all?"""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

__all__ = ["inline_image", "page_template"]

_TEMPLATES = Path(__file__).parent / "templates"


def page_template(name: str, **filters: Callable[..., Any]) -> Template:
    """A template of `templates/`: values are escaped, and one that is missing is an error."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)


def inline_image(data: bytes, kind: str) -> str:
    """The address of a picture that lies in the page itself; `kind` is png or jpeg."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
