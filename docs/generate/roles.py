"""Docstrings as mkdocstrings is to read them: references of reStructuredText become links of the site."""

from __future__ import annotations

import re
from typing import Any

import griffe

from docs.generate.api import to_markdown


class Roles(griffe.Extension):
    """Rewrite each docstring once it is loaded; leave out what the docstring of a class describes."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Turn a docstring into Markdown."""
        if obj.docstring is not None:
            # Types are words, which griffe keeps as they stand unless they happen to be Python.
            text = re.sub(r"(?<= : )array, (?=shape )", "array of ", obj.docstring.value)
            obj.docstring.value = to_markdown(re.sub(r"^array, (?=shape )", "array of ", text, flags=re.M), obj.path)
        if obj.is_class:
            for name, member in obj.members.items():
                if (member.is_attribute or name.startswith("__")) and member.docstring is None:
                    member.public = False
