"""``python -m gankit``."""

from gankit.cli import main

if __name__ == "__main__":
    main()
