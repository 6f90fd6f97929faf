"""A headless Chromium for tests and measurements in a browser."""

import os
import shutil

MISSING = "there is no Chromium: `apt install chromium-headless-shell` on Debian, or name one in CHROMIUM"
ARGUMENTS = (
    "--no-sandbox",
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find(own: str) -> str | None:
    """Return where a Chromium lies, or None. The headless shell opens a page in a third of the time that the whole
    browser takes. *own* is Playwright's.
    """
    candidates = [os.environ.get("CHROMIUM", ""), "chromium-headless-shell", "chromium", own]
    return next((path for path in map(shutil.which, candidates) if path), None)
