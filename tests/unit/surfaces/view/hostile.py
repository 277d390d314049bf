"""Texts that do something where they are taken for anything but text."""

from __future__ import annotations

CORPUS = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "<svg/onload=alert(1)>",
    "</summary></details><iframe src=javascript:alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<!-- --><b>bold</b>",
    "]]><script>alert(1)</script>",
    "\x1b[31m<script>alert(1)</script>\x1b[0m",
    "\u202e<script>\u202calert(1)</script>",
    "{{constructor.constructor('alert(1)')()}}",
    "<math><mtext></mtext><mglyph><style></math><img src onerror=alert(1)>",
]
