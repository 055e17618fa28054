"""What an extra's import changes for the whole process stays out."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ("from venues.extras import import_extra; import_extra('eth_account')", True),
        # As long as this changes it, `import_extra` is needed.
        ("import eth_account", False),
    ],
)
def test_the_recursion_limit_stays(how: str, kept: bool) -> None:
    code = f"import sys; before = sys.getrecursionlimit(); {how}; "
    code += "print(before == sys.getrecursionlimit())"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert said.stdout.strip() == str(kept)
