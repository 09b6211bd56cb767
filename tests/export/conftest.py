import urllib.error

import pytest


@pytest.fixture(scope="session")
def litert():
    """The files of LiteRT.js, where they can be had."""
    from made_tf.export.web import litert_js

    try:
        return litert_js.litert_files()
    except (OSError, urllib.error.URLError) as error:
        pytest.skip(f"needs LiteRT.js: {error}")
