"""The conformance kit: whether parts keep what the contracts promise for them.

For the author of a plugin. With pytest, one test for each check and part::

    from gankit.testing import parametrize_parts

    @parametrize_parts(dist="gankit-focal")
    def test_conformance(check):
        check()

Without it, ``gankit check gankit-focal`` says the same.
"""

from gankit.testing.parametrizing import parametrize_parts

__all__ = ["parametrize_parts"]
