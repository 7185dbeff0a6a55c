#!/usr/bin/env python
"""The same as the console script `qlite`."""

from qlite_site.cli import main

if __name__ == "__main__":
    main()
