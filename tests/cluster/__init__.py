"""Sluice in front of a whole stand-in cluster: what a client of such a cluster sees, test by test.

`run.py BINARY` runs all of it. A behaviour is a function `test_...` in one of the files of cases/; a file says in
`stage` what its tests need to have running, and lib/stage.py makes that.
"""
