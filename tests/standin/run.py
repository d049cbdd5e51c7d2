"""Runs the stand-in node's own tests; the last line is `N passed, N failed`."""
import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
suite = unittest.defaultTestLoader.discover(os.path.join(here, "cases"), pattern="*.py", top_level_dir=os.path.dirname(here))
result = unittest.TextTestRunner(verbosity=1, stream=sys.stderr).run(suite)
failed = len(result.failures) + len(result.errors)
print(f"{result.testsRun - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
